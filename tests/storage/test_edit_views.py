"""What the views make of edits, against the same computed elsewhere: by hand, by numpy and scipy, by a slow twin."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from edit_builders import (
    ASKED_ON,
    CLEAN,
    CORRUPTIONS,
    SAMPLE,
    a_record,
    an_edit,
    asked,
    judged,
    record_together,
    some_edits,
    some_scores,
    untouched,
)
from scipy import stats
from store_builders import FACTS, a_checkpoint, a_run

from service.edit_results import EditScore
from service.storage.database import open_store
from service.storage.edit_rows import record_edit, record_untouched


@pytest.fixture(scope="module")
def filled(tmp_path_factory, fresh_store):
    """Five kinds of edits by three seeds, beside three untouched networks."""
    place = tmp_path_factory.mktemp("filled") / "store"
    shutil.copytree(fresh_store, place)
    store = open_store(place, 20)
    some_edits(store)
    return store


def record_network(store, step, accuracies, sample=SAMPLE, model="edited", minutes=300):
    checkpoint = a_checkpoint(step, model)
    run = a_run(checkpoint, minutes, experiment="edit_networks")
    record_untouched(store, run, checkpoint, FACTS, [ASKED_ON], [untouched(accuracies, sample=sample)])


def test_an_edit_is_one_row_with_what_it_achieves_and_what_limits_it(filled):
    rows = asked(filled, "select * from lab.edits where seed = 0 order by method, rank, alpha")
    assert [row["limited_to"] for row in rows] == ["alpha 0.5", "alpha 1", "all layers", "rank 1", "rank 4"]
    best = rows[-1]
    found = {
        name: best[name] for name in ("success", "exemplar_success", "generality", "locality", "corrupted_success")
    }
    assert found == pytest.approx(
        {"success": 0.7, "exemplar_success": 0.8, "generality": 0.5, "locality": 0.95, "corrupted_success": 0.6}
    )
    assert (best["weights_changed"], best["share_changed"]) == (128, 128 / FACTS.parameters)
    assert (best["errors_corrected"], best["success_before"]) == (None, 0.1)
    assert (best["loss_before"], best["loss_after"], best["converged"]) == (2.0, 0.1, True)


def test_the_newest_run_of_an_edit_counts_and_scores_that_it_lacks_are_those_of_the_one_before(store):
    record_edit(store, a_record(store, an_edit("one-layer"), success=0.5))
    record_edit(store, a_record(store, an_edit("one-layer"), minutes=1, scores=some_scores(0.9)[1:2], seconds=7.0))
    (row,) = asked(store, "select success, exemplar_success, seconds, limited_to from lab.edits")
    assert row == {"success": 0.9, "exemplar_success": 0.6, "seconds": 7.0, "limited_to": "one layer"}
    assert len(asked(store, "select * from lab.edit_curves")) == 3


def logit(accuracy):
    inner = np.clip(accuracy, 0.001, 0.999)
    return np.log(inner / (1 - inner))


def test_effective_robustness_is_what_is_above_the_line_that_numpy_fits_to_untouched_networks(store):
    clean = np.array([0.55, 0.72, 0.9, 1.0])
    noisy = np.array([0.5, 0.66, 0.71, 0.93])
    for step, (one, other) in enumerate(zip(clean, noisy, strict=True)):
        record_network(store, step, {"none": one, "noise": other, "blur": 0.4})
    edited = a_checkpoint(2, "edited")
    edit = an_edit(checkpoint=edited)
    after = judged(0.0, {"none": 0.8, "noise": 0.75, "blur": 0.3})
    record_edit(store, a_record(store, edit, edited, judged=(after,)))
    slope, intercept = np.polyfit(logit(clean), logit(noisy), 1)
    expected = 1 / (1 + np.exp(-(intercept + slope * logit(np.array([0.8, 0.9])))))
    rows = asked(store, "select * from lab.edit_robustness where corruption = 'noise' and severity = 3")
    assert {row["line_networks"] for row in rows} == {4}
    assert [row["line_slope"] for row in rows] == pytest.approx([slope] * 5)
    assert [row["line_intercept"] for row in rows] == pytest.approx([intercept] * 5)
    own = next(row for row in rows if row["edit_id"] == edit.edit_id)
    assert own["expected_accuracy"] == pytest.approx(expected[0])
    assert own["effective_robustness"] == pytest.approx(0.75 - expected[0])
    assert own["effective_robustness_change"] == pytest.approx(0.75 - expected[0] - (0.71 - expected[1]))
    bare = next(row for row in rows if row["step"] == 2 and row["edit_id"] is None)
    assert (bare["effective_robustness"], bare["method"]) == (pytest.approx(0.71 - expected[1]), None)
    flat = asked(
        store, "select distinct line_slope, effective_robustness from lab.edit_robustness where corruption = 'blur'"
    )
    assert sorted(row["effective_robustness"] for row in flat) == pytest.approx([-0.1, 0.0], abs=1e-12)


def test_one_network_or_several_alike_have_no_line_and_other_samples_are_no_part_of_it(store):
    record_network(store, 0, CLEAN)
    record_network(store, 1, CLEAN)
    record_network(store, 2, {"none": 0.5, "noise": 0.4, "blur": 0.3}, sample="another")
    rows = asked(store, "select effective_robustness, line_networks from lab.edit_robustness where severity > 0")
    assert len(rows) == 9
    assert {(row["effective_robustness"], row["line_networks"]) for row in rows} == {(None, None)}


def test_change_and_calibration_are_beside_the_untouched_network_of_the_same_sample(filled):
    query = (
        "select * from lab.edit_robustness where corruption = 'blur' and severity = 3 and seed = 1 and method = 'low-rank' "
        "and rank = 4"
    )
    (row,) = asked(filled, query)
    assert (row["accuracy"], row["untouched_accuracy"]) == pytest.approx((0.64, 0.7))
    assert (row["change"], row["change_std_error"]) == pytest.approx((-0.06, 0.01))
    assert (row["calibration_change"], row["loss"] - row["untouched_loss"]) == pytest.approx((0.02, 0.1))
    assert row["clean_accuracy"] == pytest.approx(0.84)
    bare = asked(filled, "select untouched_accuracy, change from lab.edit_robustness where edit_id is null")
    assert len(bare) == 12
    assert {(one["untouched_accuracy"], one["change"]) for one in bare} == {(None, None)}


@pytest.mark.parametrize("count", [2, 3, 11, 12, 30])
def test_intervals_are_those_of_students_t_over_seeds(store, count):
    draw = np.random.default_rng(count)
    successes, lost = draw.uniform(0.45, 0.55, count), draw.uniform(0.1, 0.3, count)
    record_together(
        store,
        [
            a_record(
                store,
                an_edit(seed=seed),
                success=success,
                lost=cost,
                delta=None,
                scores=(
                    *some_scores(success)[:-2],
                    EditScore("agreement", "unrelated", "none", 0, 1.0, 1 - cost, 0.02, 100),
                ),
            )
            for seed, (success, cost) in enumerate(zip(successes, lost, strict=True))
        ],
    )
    (row,) = asked(store, "select * from lab.edit_tradeoff where task is null")
    assert (row["edits"], row["seeds"], row["tasks"]) == (count, count, 1)
    for name, values in (
        ("success", successes),
        ("corrupted_success", successes - 0.1),
        ("generality", successes - 0.2),
        ("locality", 1 - lost),
        ("robustness_change", -lost),
        ("clean_change", -lost),
    ):
        low, high = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
        assert row[name] == pytest.approx(values.mean())
        cut = (low, high) if name.endswith("change") else (max(low, 0), min(high, 1))
        assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(cut, rel=1e-3)
    assert row["calibration_change_low"] is row["effective_robustness_change_low"] is None  # no untouched network


def test_one_edit_has_no_interval_and_each_task_a_row_beside_that_of_all(store):
    for task, success in (("style", 0.2), ("label", 0.8)):
        record_edit(store, a_record(store, an_edit(task=task), task=task, success=success))
    rows = {row["task"]: row for row in asked(store, "select * from lab.edit_tradeoff")}
    assert set(rows) == {"style", "label", None}
    assert (rows["style"]["edits"], rows["style"]["success_low"], rows["style"]["success_high"]) == (1, None, None)
    assert (rows[None]["edits"], rows[None]["tasks"], rows[None]["success"]) == (2, 2, 0.5)
    assert (rows[None]["success_low"], rows[None]["success_high"]) == (0, 1)


def test_what_a_search_chose_for_each_draw_is_one_row_and_of_several_choices_the_newest_counts(store):
    fast, slow, again = (an_edit(seed=seed, steps=steps) for seed, steps in ((0, 10), (1, 80), (0, 20)))
    for minutes, (edit, success) in enumerate(((fast, 0.1), (slow, 0.6), (again, 0.8))):
        record_edit(store, a_record(store, edit, success=success, minutes=minutes))
    (row,) = asked(store, "select * from lab.edit_tradeoff where task is null")
    assert (row["edits"], row["success"]) == (2, pytest.approx(0.7))
    assert (row["steps"], row["learning_rate"]) == (None, 0.01)


def test_tasks_judged_on_other_items_are_one_row_and_under_other_corruptions_two(store):
    fewer = (("none", 0), ("noise", 3))
    for task, sample, corruptions in (("a", "one", CORRUPTIONS), ("b", "two", CORRUPTIONS), ("c", "one", fewer)):
        on = judged(0.1, sample=sample, corruptions=corruptions)
        record_edit(store, a_record(store, an_edit(task=task), task=task, judged=(on,)))
    rows = asked(store, "select * from lab.edit_tradeoff where task is null order by corruptions")
    assert [(row["families"], row["corruptions"], row["edits"]) for row in rows] == [(1, 1, 1), (2, 3, 2)]
    assert all(row["on_front"] for row in rows)


def test_as_many_corruptions_of_other_families_are_not_compared(store):
    for rank, family, lost in ((1, "noise", 0.1), (2, "blur", 0.2)):
        on = judged(lost, corruptions=(("none", 0), (family, 3)))
        record_edit(store, a_record(store, an_edit(rank=rank), judged=(on,)))
    rows = asked(store, "select * from lab.edit_tradeoff where task is null")
    assert {(row["families"], row["corruptions"], row["on_front"]) for row in rows} == {(1, 1, True)}
    assert len({row["judged_under"] for row in rows}) == 2
    alphas = ((0.25, "noise"), (0.5, "blur"))
    for alpha, family in alphas:
        on = judged(0.1, corruptions=(("none", 0), (family, 3)))
        record_edit(store, a_record(store, an_edit("1-li", alpha=alpha), judged=(on,)))
    assert [row["robustness_steps"] for row in asked(store, "select * from lab.edit_alpha")] == [1, 1]


def test_an_edit_that_was_only_tried_in_a_search_is_not_in_the_tradeoff(store):
    record_edit(store, a_record(store, an_edit(), search="s", judged=()))
    assert asked(store, "select * from lab.edit_tradeoff") == []
    assert [row["search"] for row in asked(store, "select search from lab.edits")] == ["s"]


def test_a_later_search_that_tries_an_edit_again_takes_nothing_from_what_is_known_of_it(store):
    record_edit(store, a_record(store, an_edit()))
    tried = (EditScore("agreement", "validation unrelated", "none", 0, 1.0, 0.2, 0.1, 50),)
    record_edit(store, a_record(store, an_edit(), minutes=1, search="s", judged=(), scores=tried, delta=None))
    (row,) = asked(store, "select search, path, success, locality from lab.edits")
    assert row["search"] is None
    assert row["path"] is not None
    assert (row["success"], row["locality"]) == (0.8, 0.95)


def on_front(points):
    """A slow twin: the places of the points that no other dominates."""
    return {
        place
        for place, (success, change) in enumerate(points)
        if not any((other, cost) != (success, change) and other >= success and cost >= change for other, cost in points)
    }


@pytest.mark.parametrize("seed", range(3))
def test_the_front_is_what_a_slow_twin_finds_also_among_ties(store, seed):
    draw = np.random.default_rng(seed)
    points = [(float(a) / 8, -float(b) / 8) for a, b in draw.integers(0, 8, (30, 2))]
    flat = {"corruptions": (("none", 0), ("noise", 3)), "accuracies": {"none": 1.0, "noise": 1.0}}
    record_together(
        store,
        [
            a_record(
                store, an_edit(rank=place + 1), delta=None, moved=(), scores=some_scores(success)[1:2],
                judged=(judged(-change, **flat),),
            )
            for place, (success, change) in enumerate(points)
        ],
    )  # fmt: skip
    rows = asked(store, "select rank, on_front from lab.edit_tradeoff where task is null")
    assert {row["rank"] - 1 for row in rows if row["on_front"]} == on_front(points)
    front = asked(store, "select rank from lab.edit_pareto where task is null")
    assert {row["rank"] - 1 for row in front} == on_front(points)


def test_what_was_not_measured_is_on_no_front_and_each_network_has_its_own(store):
    other = a_checkpoint(100, "another")
    record_edit(store, a_record(store, an_edit(), success=0.2, lost=0.3))
    record_edit(store, a_record(store, an_edit(checkpoint=other), other, success=0.9, lost=0.1))
    record_edit(store, a_record(store, an_edit(rank=8), scores=()))
    rows = asked(store, "select model, rank, on_front from lab.edit_tradeoff where task is null order by all")
    assert [tuple(row.values()) for row in rows] == [("another", 2, True), ("edited", 2, True), ("edited", 8, False)]
