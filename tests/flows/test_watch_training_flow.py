"""The watching flow against a real Prefect server: what goes wrong with one checkpoint, what is told, and what is not twice."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from full_disk import full, small_disk
from service_process import until

from flows.events import MEASURED, SPIKE_SEEN, SPIKE_WARNING
from flows.watch_training import watch_training
from service.errors import NetworkMismatch
from service.experiments.progress import Progress, listening
from service.experiments.training_news import News, hearing
from service.results import Estimate, ProbeResult
from service.storage import answers
from service.storage.consistency import check
from service.storage.database import Store, open_store
from service.storage.rows import Run
from service.storage.training_rows import TrainingEntry, leave_in_ledger

ASKED: dict[str, Any] = {"sample": 64, "measures": ["anisotropy", "twonn"], "every": 0.05, "device": "cpu"}


@contextmanager
def heard(act: Callable[[News], object] = lambda news: None) -> Iterator[list[News]]:
    """The news inside the block; `act` is called with each."""
    news: list[News] = []

    def listener(one: News) -> None:
        news.append(one)
        act(one)

    with hearing(listener):
        yield news


def lines(news: list[News], *kinds: str) -> list[str]:
    return [one.line for one in news if one.kind in kinds]


def steps(store: Path) -> list[object]:
    """The steps that were measured."""
    query = "select distinct step from lab.anisotropy_by_layer order by 1"
    return [row[0] for row in answers.as_rows(answers.ask(Store(store, 5), query))[1]]


def events(server: str, name: str, model: str) -> list[dict[str, Any]]:
    """What the server has of an event of a model, oldest first."""
    asked = {"event": {"name": [name]}, "resource": {"id": [f"isoscope.model.{model}"]}}
    found = httpx.post(f"{server}/events/filter", json={"filter": asked, "limit": 50}, timeout=30).json()["events"]
    return sorted(found, key=lambda event: event["occurred"])


def copied(decoder_folder: Path, folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(decoder_folder / name, folder / name)
    return folder


def test_a_checkpoint_that_is_deleted_while_it_is_read_costs_one_line(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    folder = copied(decoder_folder, tmp_path / "tiny", "step0", "step1", "step16")

    def delete(step: Progress) -> None:
        if step.stage == "checkpoints" and step.subject == "tiny step0":
            shutil.rmtree(folder / "step0")

    with listening(delete), heard() as news:
        done = watch_training(str(folder), store=tmp_path / "store", once=True, **ASKED)
    assert done.checkpoints == 2
    assert lines(news, "left out", "problem") == ["step0 was deleted before it was measured"]
    assert steps(tmp_path / "store") == [1, 16]
    assert check(Store(tmp_path / "store", 5)) == []


def test_one_that_cannot_be_read_ends_nothing_is_said_once_and_is_tried_again_when_it_changes(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    folder = copied(decoder_folder, tmp_path / "tiny", "step0", "step16")
    tokenizer = folder / "step0" / "tokenizer.json"
    body = tokenizer.read_bytes()
    tokenizer.write_bytes(b"not a tokenizer")

    def mend(news: News) -> None:
        if news.kind == "measured" and news.facts["step"] == 16:
            threading.Timer(2.0, tokenizer.write_bytes, [body]).start()

    tried: list[str] = []
    with (
        heard(mend) as news,
        listening(lambda step: tried.append(step.subject) if step.unit == "checkpoints" else None),
    ):
        done = watch_training(str(folder), store=tmp_path / "store", until_idle=2.0, **ASKED)
    assert done.checkpoints == 2
    assert tried.count("tiny step0") == 2
    (line,) = lines(news, "problem")
    assert line.startswith("step0: ")
    assert steps(tmp_path / "store") == [0, 16]
    tokenizer.write_bytes(b"not a tokenizer")
    with pytest.raises(NetworkMismatch, match=r"1 checkpoints could not be measured, the first: .*step0"):
        watch_training(str(folder), store=tmp_path / "other", once=True, **ASKED)
    assert steps(tmp_path / "other") == [16]


def test_a_full_disk_while_a_checkpoint_is_measured_costs_nothing_but_the_wait(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    folder = copied(decoder_folder, tmp_path / "tiny", "step0", "step16")
    with small_disk(tmp_path / "disk") as mounted:
        store = tmp_path / "disk" / "store"
        filled = full(tmp_path / "disk", mounted)

        def fill(step: Progress) -> None:
            if (step.stage, step.subject) == ("extract", "tiny step16") and step.done and not seen:
                seen.append("full")
                filled.__enter__()

        def free(news: News) -> None:
            if news.kind == "problem" and "cannot be written" in news.line:
                filled.__exit__(None, None, None)

        seen: list[str] = []
        with listening(fill), heard(free) as news:
            done = watch_training(str(folder), store=store, until_idle=1.0, **ASKED)
        assert seen
        assert "step16: the store" in lines(news, "problem")[0]
        assert done.checkpoints == 2
        assert steps(store) == [0, 16]
        assert check(Store(store, 5)) == []


def a_probe(step: int, value: float) -> ProbeResult:
    return ProbeResult(step, 1, "residual", "twonn", 1, "corrected/all", Estimate(value, 0.5, 100))


def leave_probes(store: Path, model: str, values: dict[int, float]) -> None:
    """Probes as a running monitor leaves them: in the ledger alone."""
    now = datetime.now(UTC).replace(tzinfo=None)
    run = Run(f"{model}-{len(values)}", "monitor_training", {}, "1", 0, "cpu", None, now, now)
    results = [a_probe(step, value) for step, value in values.items()]
    leave_in_ledger(store, TrainingEntry(run, model, "monitor", (), "probe", (), results))


def test_spikes_warnings_and_measured_checkpoints_reach_the_server_once(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    model, store = tmp_path.name, tmp_path / "store"
    folder = copied(decoder_folder, tmp_path / "run", "step16")
    losses = 2.0 + 0.01 * np.random.default_rng(0).standard_normal(100)
    losses[79] = 9.0
    (folder / "log.csv").write_text("step,loss\n" + "".join(f"{step + 1},{loss}\n" for step, loss in enumerate(losses)))
    open_store(store, 5)
    leave_probes(store, model, dict.fromkeys(range(10, 100, 10), 10.0) | {100: 13.0})
    asked = {**ASKED, "store": store, "name": model, "once": True}
    with heard() as news:
        watch_training(str(folder), **asked)
    assert lines(news, "imported") == ["100 steps of losses from log.csv"]
    (spike,) = lines(news, "spike")
    assert spike.startswith("loss spike at step 80: 9, where 2.00")
    assert lines(news, "warning") == [
        "warning at step 100: intrinsic dimension of layer 1 is 6.0 standard errors above its trend"
    ]
    for name in (MEASURED, SPIKE_SEEN, SPIKE_WARNING):
        (event,) = until(lambda name=name: events(prefect_server, name, model), name)
        assert event["resource"]["prefect.resource.name"] == model
        assert event["payload"]["model"] == model
        told = event["payload"]
        if name == MEASURED:
            assert (told["step"], told["dataset"], told["rows"]) == (16, "python-reference[sample=64]", 45)
            assert 0 < told["anisotropy"] < 1
            assert told["twonn"] > 0
        elif name == SPIKE_SEEN:
            assert (told["step"], told["last_step"], told["highest_loss"]) == (80, 80, 9.0)
        else:
            assert (told["step"], told["layer"], told["excess_in_std_errors"]) == (100, 1, 6.0)
    with heard() as again:
        watch_training(str(folder), **asked)
    assert lines(again, "measured", "imported", "spike", "warning") == []
    time.sleep(0.5)
    assert len(events(prefect_server, SPIKE_SEEN, model)) == 1


def test_a_clock_set_back_while_the_watch_waits_is_no_reason_to_wait_longer(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    folder = copied(decoder_folder, tmp_path / "tiny", "step0")
    for path in (folder / "step0").iterdir():
        os.utime(path, (4e9, 4e9))  # written in a future that the clock was set back from
    assert watch_training(str(folder), store=tmp_path / "store", once=True, **ASKED).checkpoints == 1
