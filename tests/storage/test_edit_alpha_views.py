"""What the views make of edits along alpha, of the layers that they moved, and of causal traces."""

from __future__ import annotations

from dataclasses import replace

import pytest
from edit_builders import CHECKPOINT, a_record, a_trace, an_edit, asked, record_together, some_scores
from store_builders import a_checkpoint

from service.storage.edit_rows import record_edit


def test_steps_along_alpha_that_go_the_wrong_way_are_counted_and_those_beyond_noise(store):
    # success: up, down a little, down much, up; robustness: down, down, up much, up a little
    found = [(0.0, 0.1, 0.0), (0.25, 0.5, 0.02), (0.5, 0.4, 0.1), (0.75, 0.2, 0.05), (1.0, 0.9, 0.03)]
    record_together(
        store,
        [
            a_record(store, an_edit("1-li", alpha=alpha), success=success, lost=lost, delta=None)
            for alpha, success, lost in found
        ]
        + [a_record(store, an_edit("1-li", alpha=0.5, layer="blocks.2"), delta=None)],
    )
    rows = asked(store, "select * from lab.edit_alpha order by layer")
    assert [row["alphas"] for row in rows] == [5, 2]
    names = ("success_steps", "success_falls", "success_falls_beyond_noise")
    assert [rows[0][name] for name in names] == [4, 2, 1]  # 0.0707 < 0.1 < 1.96 * 0.0707 < 0.2
    names = ("robustness_steps", "robustness_rises", "robustness_rises_beyond_noise")
    assert [rows[0][name] for name in names] == [4, 2, 1]  # 0.01414 < 0.02 < 1.96 * 0.01414 < 0.05
    # of one alpha alone, from the untouched network: success 0.1 of 60 before and 0.8 now, robustness lost
    assert (rows[1]["alpha_min"], rows[1]["success_steps"], rows[1]["success_falls"]) == (0, 1, 0)
    assert (rows[1]["robustness_steps"], rows[1]["robustness_rises"]) == (1, 0)


def test_a_first_alpha_that_does_worse_than_the_untouched_network_is_a_step_the_wrong_way(store):
    record_edit(
        store, a_record(store, an_edit("1-li", alpha=0.25), success=0.0, lost=-0.1, scores=some_scores(0.0)[1:2])
    )
    (row,) = asked(store, "select * from lab.edit_alpha")
    names = ("success_falls", "success_falls_beyond_noise", "robustness_rises", "robustness_rises_beyond_noise")
    assert [row[name] for name in names] == [1, 0, 1, 1]  # 0.1 < 1.96 * sqrt(0.1 * 0.9 / 60 + 0.05 ** 2)


def test_drift_is_a_change_of_shape_or_a_distance_by_layer_newest_run(store):
    record_edit(store, a_record(store, an_edit()))
    record_edit(store, a_record(store, an_edit(), minutes=1, moved=()))
    rows = asked(store, "select * from lab.edit_drift order by measure, layer")
    assert len(rows) == 6
    distance, shape = rows[2], rows[5]
    assert (distance["measure"], distance["change"], distance["compared"]) == ("procrustes_angular", None, 0.2)
    assert (shape["measure"], shape["change"], shape["compared"]) == ("twonn", pytest.approx(0.2), None)
    assert (shape["edited_layer"], shape["layer_name"], shape["rank"]) == ("blocks.1", "blocks.2", 2)


def test_the_newest_trace_of_a_network_counts(store):
    a_trace(store)
    a_trace(store, minutes=1)
    rows = asked(store, "select * from lab.causal_trace order by place, layer")
    assert len(rows) == 6
    assert (rows[-1]["task"], rows[-1]["place"], rows[-1]["layer"]) == ("facts", "subject-last", 3)
    assert {(row["restored"], row["restored_layers"]) for row in rows} == {("state", 1), ("mlp", 1)}
    assert {(row["answer"], row["answer_probability"], row["note"]) for row in rows} == {(" Paris", 0.9, None)}
    assert rows[-1]["effect"] == pytest.approx(0.3)


def test_an_edit_of_another_network_shares_no_row_with_this_one(store):
    record_edit(store, a_record(store, an_edit()))
    other = a_checkpoint(7)
    record_edit(store, a_record(store, replace(an_edit(), checkpoint_id=other.checkpoint_id), other, lost=0.5))
    rows = asked(store, "select model, step, robustness_change from lab.edit_costs order by model")
    assert [row["robustness_change"] for row in rows] == pytest.approx([-0.05, -0.5])
    assert CHECKPOINT.model == rows[0]["model"] != rows[1]["model"]
