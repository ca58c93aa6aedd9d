"""Means of edits with their intervals over draws and over tasks, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from edit_builders import a_record, an_edit, asked, record_together
from scipy import stats

from service.command_edit import BROKEN, SHOWN
from service.command_editing import QUESTIONS
from service.storage.answers import ask
from service.storage.database import publish

LOST = {"a": (0.10, 0.12), "b": (0.20, 0.26), "c": (0.14, 0.15, 0.19)}  # by task and draw


def bounds(values):
    """Mean and 95 % interval."""
    return (np.mean(values), *stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values)))


def edits():
    return [
        (an_edit(task=task, seed=seed), task, lost) for task, found in LOST.items() for seed, lost in enumerate(found)
    ]


@pytest.fixture
def filled(store):
    """Three tasks with draws of their own."""
    record_together(
        store, [a_record(store, edit, task=task, success=1 - lost, lost=lost) for edit, task, lost in edits()]
    )
    return store


def test_tasks_are_as_many_values_as_there_are_and_draws_of_one_task_are_not(filled):
    query = "select task, mean, low, high, edits, tasks, quantity from lab.edit_intervals where {} order by task nulls first"
    over, *each = asked(filled, query.format("quantity = 'robustness_change' and corruption is null"))
    for row, lost in zip(each, LOST.values(), strict=True):
        assert (row["mean"], row["low"], row["high"]) == pytest.approx(bounds([-one for one in lost]), rel=1e-3)
    expected = bounds([-np.mean(lost) for lost in LOST.values()])
    assert (over["mean"], over["low"], over["high"]) == pytest.approx(expected, rel=1e-3)
    assert (over["edits"], over["tasks"]) == (7, 3)
    (row,) = asked(filled, "select * from lab.edit_tradeoff where task is null")
    found = row["robustness_change_tasks_low"], row["robustness_change_tasks_high"]
    assert found == pytest.approx(expected[1:], rel=1e-3)
    assert (row["success_tasks_low"], row["success_tasks_high"]) == pytest.approx(
        (1 + expected[1], 1 + expected[2]), rel=1e-3
    )
    assert row["robustness_change_low"] > found[0]  # over draws taken as independent it is narrower
    one = asked(filled, query.format("quantity = 'exemplar_success' and task is not null"))
    assert all(row["low"] < row["mean"] < row["high"] for row in one)


def test_every_corruption_and_every_layer_has_its_interval(filled):
    kept = "select distinct corruption, severity, tasks from lab.edit_intervals where task is null and corruption is not null"
    assert sorted((row["corruption"], row["severity"], row["tasks"]) for row in asked(filled, kept)) == [
        ("blur", 3, 3),
        ("noise", 1, 3),
        ("noise", 3, 3),
    ]
    layers = "select quantity, depth, low, high from lab.edit_intervals where task is null and depth is not null"
    drift = asked(filled, layers)
    known = asked(filled, "select distinct measure, layer from lab.edit_drift")
    assert {(row["quantity"], row["depth"]) for row in drift} == {(row["measure"], row["layer"]) for row in known}
    assert all(row["low"] is not None for row in drift)


def test_what_is_printed_has_intervals_over_draws_and_over_tasks(filled):
    publish(filled)
    ids = {"edits": [edit.edit_id for edit, _, _ in edits()]}
    shown = ask(filled, SHOWN, ids).to_pylist()
    for row, lost in zip(shown, LOST.values(), strict=True):
        assert (row["low"], row["high"]) == pytest.approx(
            np.clip(bounds([1 - one for one in lost])[1:], 0, 1), abs=2e-3
        )
    (row,) = ask(filled, BROKEN, ids).to_pylist()
    assert (row["low"], row["high"]) == pytest.approx(bounds([-np.mean(lost) for lost in LOST.values()])[1:], abs=2e-4)
    (row,) = ask(filled, BROKEN, {"edits": [edit.edit_id for edit, task, _ in edits() if task == "c"]}).to_pylist()
    assert (row["low"], row["high"]) == pytest.approx(bounds([-one for one in LOST["c"]])[1:], abs=2e-4)
    for _, query in QUESTIONS:
        ask(filled, query.format(model="'edited'", datasets="'digits:test'"))


def test_an_edit_as_released_and_one_corrected_have_intervals_of_their_own(store):
    found = [
        a_record(store, an_edit("rome", task=task, rank=1, variant=variant), task=task, lost=lost + more)
        for task, (lost, *_) in LOST.items()
        for variant, more in (("corrected", 0.0), ("released", 0.3))
    ]
    record_together(store, found)
    rows = asked(store, "select * from lab.edit_tradeoff where task is null order by variant")
    assert [(row["variant"], row["limited_to"]) for row in rows] == [
        ("corrected", "rank 1"),
        ("released", "rank 1, as released"),
    ]
    for row, more in zip(rows, (0.0, 0.3), strict=True):
        expected = bounds([-lost - more for lost, *_ in LOST.values()])
        interval = row["robustness_change_tasks_low"], row["robustness_change_tasks_high"]
        assert (row["robustness_change"], *interval) == pytest.approx(expected, rel=1e-3)
    curves = asked(store, "select distinct limited_to from lab.edit_curves order by 1")
    assert [row["limited_to"] for row in curves] == ["rank 1", "rank 1, as released"]


@pytest.mark.parametrize("n", [2, 5, 11, 12, 40, 1000])
def test_quantiles_are_those_of_students_t(store, n):
    (row,) = asked(store, f"select quantile from lab.t_quantiles where n = {n}")
    assert row["quantile"] == pytest.approx(stats.t.ppf(0.975, n - 1), rel=1e-3)
