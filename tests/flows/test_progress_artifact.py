"""How far a run has come, and a bar that a slow server cannot hold up."""

from __future__ import annotations

import pytest
from prefect import flow

from flows.progress_artifact import Gauge, progress_shown
from service.experiments.progress import Progress, listening, tell


def heard(*steps: Progress) -> tuple[float, str]:
    """Where the gauge stands after the steps."""
    gauge = Gauge()
    for step in steps:
        gauge.hear(step)
    return gauge.percent, gauge.line


def test_each_checkpoint_is_read_in_its_first_half_and_measured_in_its_second() -> None:
    second = Progress("checkpoints", "m step1", 1, 4, "checkpoints")
    assert heard(second) == (25, "1 of 4 checkpoints measured")
    assert heard(second, Progress("extract", "m step1", 50, 100)) == (31.25, "extract m step1: 50 of 100 tokens")
    assert heard(second, Progress("extract", "m step1", 50, None))[0] == 25
    assert heard(second, Progress("measure", "m step1", 3, 6, "layers"))[0] == 43.75
    assert heard(second, Progress("measure", "m step1", 6, 6, "layers"))[0] == 50


def test_the_end_is_the_end_also_where_nothing_was_to_do() -> None:
    assert heard(Progress("checkpoints", "", 4, 4, "checkpoints"))[0] == 100
    assert heard(Progress("checkpoints", "", 0, 0, "checkpoints")) == (100, "nothing was missing")


def test_waiting_is_said_without_moving_the_bar() -> None:
    half = Progress("checkpoints", "", 2, 4, "checkpoints")
    assert heard(half, Progress("waiting", "for process 7", 0, None)) == (50, "waiting for process 7")


def test_a_bar_that_the_server_refuses_costs_the_run_nothing_and_whoever_listened_still_hears(
    prefect_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Progress] = []

    @flow(name="counting", persist_result=False)
    def counting() -> int:
        with listening(told.append), progress_shown("No Key Of Prefect's"):
            for done in range(1000):
                tell(Progress("extract", "m", done, 1000))
        return len(told)

    assert counting() == 1000
    assert [record.message for record in caplog.records if "cannot be shown" in record.message]
