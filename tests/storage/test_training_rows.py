"""Loss curves with planted spikes, and the intrinsic dimension in the steps before them, as the views tell them."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from store_builders import an_entry

from service.results import Estimate, ProbeResult, TrainingStep
from service.storage.answers import ask
from service.storage.database import open_store, publish, writing
from service.storage.rebuilding import rebuild
from service.storage.rows import Run, record
from service.storage.training_rows import TrainingEntry, leave_in_ledger, record_training

BEGUN = datetime(2026, 1, 1, 12)


def a_run(name, minutes=0):
    end = BEGUN + timedelta(minutes=minutes)
    return Run(name, "watch_training", {}, "1", 0, "cpu", None, BEGUN, end)


def steps_of(losses, first=1):
    return [TrainingStep(first + place, loss) for place, loss in enumerate(losses)]


def calm(count, seed=0, scatter=0.01):
    return 2.0 + scatter * np.random.default_rng(seed).standard_normal(count)


def asked(store, query):
    publish(store)
    return [tuple(row.values()) for row in ask(store, query).to_pylist()]


def spikes_by_hand(steps, losses):
    """The rule, written a second time in numpy: first and last hit of every spike."""
    hits = []
    for place, loss in enumerate(losses):
        before = [value for value in losses[max(0, place - 128) : place] if value is not None]
        if len(before) >= 32 and (loss is None or loss > np.mean(before) + 6 * np.std(before, ddof=1)):
            hits.append(steps[place])
    merged = []
    for hit in hits:
        if merged and hit - merged[-1][1] <= 50:
            merged[-1] = (merged[-1][0], hit)
        else:
            merged.append((hit, hit))
    return merged


def test_planted_spikes_are_found_where_they_are_and_close_hits_are_one(store):
    losses = list(calm(600))
    for place in (100, 101, 150, 260, 500):
        losses[place] = 9.0
    losses[400] = None
    entry = TrainingEntry(a_run("a"), "mine", "monitor", steps_of(losses))
    record_training(store, entry)
    found = asked(store, "select step, last_step, highest_loss, not_finite from lab.loss_spikes order by step")
    assert found == [
        (101, 151, 9.0, False),
        (261, 261, 9.0, False),
        (401, 401, None, True),
        (501, 501, 9.0, False),
    ]
    assert [row[:2] for row in found] == spikes_by_hand(range(1, 601), losses)


@pytest.mark.parametrize("seed", range(4))
def test_the_rule_agrees_with_its_second_writing_on_heavy_tails_and_logged_intervals(store, seed):
    draw = np.random.default_rng(seed)
    losses = [None if draw.random() < 0.01 else float(value) for value in draw.standard_t(2.2, 700)]
    steps = np.cumsum(draw.integers(1, 12, 700)).tolist()
    logged = [TrainingStep(*pair) for pair in zip(steps, losses, strict=True)]
    record_training(store, TrainingEntry(a_run("a"), "mine", "monitor", logged))
    found = asked(store, "select step, last_step from lab.loss_spikes order by step")
    assert len(found) > 2
    assert found == spikes_by_hand(steps, losses)


def test_a_young_training_has_no_spikes_and_neither_has_a_calm_one(store):
    record_training(store, TrainingEntry(a_run("a"), "young", "monitor", steps_of([*calm(31), 9.0])))
    record_training(store, TrainingEntry(a_run("b"), "calm", "monitor", steps_of(calm(500))))
    assert asked(store, "select model from lab.loss_spikes") == []


def test_a_monitors_loss_stands_before_an_import_and_the_newest_import_before_the_older(store):
    for run, minutes, source, losses in (
        ("a", 0, "old.csv", [1.0, 1.0, 1.0]),
        ("b", 1, "new.csv", [2.0, 2.0]),
        ("c", 0, "monitor", [3.0]),
        ("d", 5, "newest.csv", [4.0]),
    ):
        record_training(store, TrainingEntry(a_run(run, minutes), "mine", source, steps_of(losses)))
    assert asked(store, "select step, loss, source from lab.training_losses order by step") == [
        (1, 3.0, "monitor"),
        (2, 2.0, "new.csv"),
        (3, 1.0, "old.csv"),
    ]


def probed(step, value, layer=1, error=0.5):
    estimate = Estimate(value, error, 100, 2) if value is not None else Estimate.undefined("no states", 0, 100)
    return ProbeResult(step, layer, "residual", "twonn", 1, "corrected/all", estimate)


def test_the_dimension_before_a_spike_is_detrended_by_the_median_of_the_probes_before(store):
    losses = list(calm(400))
    losses[300] = 9.0
    values = {step: 10.0 + step / 100 for step in range(10, 400, 10)}
    values[290] = 20.0
    results = [probed(step, value) for step, value in values.items()]
    entry = TrainingEntry(a_run("a"), "mine", "monitor", steps_of(losses), "probe", [], results)
    record_training(store, entry)
    found = asked(
        store,
        "select step, steps_before, twonn, median_before, excess_in_std_errors, expected_loss "
        "from lab.intrinsic_dimension_before_loss_spikes where spike_step = 301 order by step",
    )
    assert [row[0] for row in found] == list(range(110, 301, 10))
    for step, distance, value, median, excess, expected in found:
        before = [values[other] for other in range(max(10, step - 200), step, 10)]
        assert distance == 301 - step
        assert median == pytest.approx(np.median(before))
        assert excess == pytest.approx((value - np.median(before)) / 0.5)
        assert expected == pytest.approx(np.mean(losses[172:300]))


def test_the_first_probes_have_no_trend_and_an_undefined_one_says_why(store):
    results = [probed(step, None if step == 30 else 5.0 + step / 10) for step in range(10, 100, 10)]
    entry = TrainingEntry(a_run("a"), "mine", "monitor", steps_of(calm(100)), "probe", [], results)
    record_training(store, entry)
    found = asked(store, "select step, twonn, median_before, note from lab.training_geometry order by step")
    assert [row[2] is None for row in found] == [True] * 6 + [False] * 3
    assert found[2] == (30, None, None, "no states")
    assert found[6][2] == pytest.approx(np.median([6.0, 7.0, 9.0, 10.0, 11.0]))


def test_rows_left_in_the_ledger_are_recorded_by_the_next_command_once(store):
    entry = TrainingEntry(a_run("a"), "mine", "monitor", steps_of(calm(5)))
    leave_in_ledger(store.root, entry)
    leave_in_ledger(store.root, entry)
    assert asked(store, "select count(*) from lab.training_losses") == [(0,)]
    again = open_store(store.root, 5)
    record_training(again, entry)
    assert asked(again, "select count(*) from lab.training_losses") == [(5,)]
    assert asked(again, "select model, experiment from lab.runs") == [("mine", "watch_training")]


def test_a_ledger_of_before_a_column_was_added_is_still_read(store):
    record(store, an_entry(store))
    (path,) = store.ledger.glob("*/runs.parquet")
    written = pq.read_table(path)
    pq.write_table(written.drop_columns(["model"]), path)
    rebuild(store.root, 5)
    assert asked(store, "select model from lab.runs") == [("tiny",)]


def test_the_database_itself_refuses_a_loss_that_is_not_a_number(store):
    row = "insert into training_losses (model, step, run_id, loss, source) values ('a', 1, 'r', 'nan', 'x')"
    with (
        pytest.raises(Exception, match="CHECK constraint failed on table training_losses"),
        writing(store) as connection,
    ):
        connection.execute(text(row))
    assert TrainingStep(1, float("inf")).loss is None
