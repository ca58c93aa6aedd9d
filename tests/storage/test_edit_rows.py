"""Edits are recorded once, come back from the ledger, and are known by what was found of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from edit_builders import (
    ASKED_ON,
    CHECKPOINT,
    CORRUPTIONS,
    SAMPLE,
    a_record,
    a_task,
    a_trace,
    an_edit,
    untouched,
)
from sqlalchemy import text
from store_builders import FACTS, a_checkpoint, a_run

from service.edit_results import EditFit, EditScore
from service.errors import SummaryCorrupt, SummaryMissing
from service.storage.consistency import check
from service.storage.database import looking, publish
from service.storage.edit_coverage import judged_edits, tried_scores
from service.storage.edit_deltas import read_delta, write_delta
from service.storage.edit_rows import (
    is_traced,
    known_robustness,
    record_edit,
    record_untouched,
    stored_delta,
)
from service.storage.rebuilding import rebuild
from service.storage.schema import metadata

TABLES = ("edits", "edit_curves", "edit_scores", "network_robustness", "edit_layers", "causal_traces")
TASK = a_task().task_id


def everything(store):
    """Every row of every table."""
    with looking(store) as connection:
        return {
            name: sorted(map(repr, connection.execute(text(f'select * from "{name}"')).all()))
            for name in metadata.tables
        }


def rows(store, query):
    with looking(store) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def kinds(store):
    return [(problem.kind, problem.subject) for problem in check(store)]


@pytest.fixture
def full(store):
    """An edit, an untouched network and a trace."""
    record_edit(store, a_record(store, an_edit()))
    run = a_run(CHECKPOINT, 300, experiment="edit_networks")
    record_untouched(store, run, CHECKPOINT, FACTS, [ASKED_ON], [untouched()])
    a_trace(store)
    publish(store)
    return store


def test_an_edit_recorded_twice_changes_nothing(full):
    before = everything(full)
    assert {name: len(before[name]) for name in TABLES} == {
        "edits": 1, "edit_curves": 3, "edit_scores": 7, "network_robustness": 8, "edit_layers": 6, "causal_traces": 6,
    }  # fmt: skip
    record_edit(full, a_record(full, an_edit()))
    run = a_run(CHECKPOINT, 300, experiment="edit_networks")
    record_untouched(full, run, CHECKPOINT, FACTS, [ASKED_ON], [untouched()])
    a_trace(full)
    assert everything(full) == before


def test_a_rebuild_brings_every_edit_back(full):
    before = everything(full)
    full.database.unlink()
    full.published.unlink()
    assert rebuild(full.root, 5) == 3
    assert everything(full) == before
    assert check(full) == []


def test_the_row_of_an_edit_holds_what_decided_it_and_how_its_fit_began_and_ended(store):
    edit = an_edit("1-li", seed=3, alpha=0.5)
    record = a_record(store, edit, search="abc")
    record_edit(store, replace(record, fit=EditFit(((0, 2.0), (40, float("nan"))), 7, False, "it burst")))
    columns = (
        "edit_id, task, layer, rank, alpha, seed, exemplars, search, changed, converged, loss_before, loss_after, note"
    )
    expected = edit.edit_id, "style", "blocks.1", None, 0.5, 3, 8, "abc", 7, False, 2.0, None, "it burst"
    assert rows(store, f"select {columns} from edits") == [expected]
    assert rows(store, "select step, loss from edit_curves order by step") == [(0, 2.0), (40, None)]


def test_what_is_not_finite_is_recorded_as_unknown(store):
    wild = EditScore("loss", "held-out", "none", 0, 1.5, float("inf"), float("nan"), 10, "it burst")
    record_edit(store, a_record(store, an_edit(), scores=(wild,)))
    assert rows(store, "select before, value, std_error from edit_scores") == [(1.5, None, None)]


def test_only_an_edit_with_its_scores_and_its_robustness_is_known(store):
    whole, unjudged, unscored, elsewhere = (an_edit(seed=seed) for seed in range(4))
    record_edit(store, a_record(store, whole))
    record_edit(store, a_record(store, unjudged, judged=(), search="s"))
    record_edit(store, a_record(store, unscored, scores=()))
    other = a_checkpoint(7)
    record_edit(store, a_record(store, replace(elsewhere, checkpoint_id=other.checkpoint_id), other))
    on = ASKED_ON.name, SAMPLE
    assert judged_edits(store, CHECKPOINT.checkpoint_id, TASK, *on) == {whole.edit_id: set(CORRUPTIONS)}
    assert judged_edits(store, CHECKPOINT.checkpoint_id, TASK, ASKED_ON.name, "another sample") == {}
    assert judged_edits(store, CHECKPOINT.checkpoint_id, "another task", *on) == {}
    record_edit(store, a_record(store, unjudged, minutes=1))
    assert set(judged_edits(store, CHECKPOINT.checkpoint_id, TASK, *on)) == {whole.edit_id, unjudged.edit_id}


def test_a_search_is_worth_its_validation_success_times_the_agreement_of_the_validation_alone(store):
    scores = (
        EditScore("success", "validation", "none", 0, None, 0.5, 0.1, 20),
        EditScore("success", "held-out", "none", 0, None, 1.0, 0.0, 20),
        EditScore("agreement", "unrelated", "none", 0, 1.0, 1.0, 0.0, 100),
        EditScore("agreement", "validation unrelated", "none", 0, 1.0, 0.4, 0.1, 100),
    )
    record_edit(store, a_record(store, an_edit(), scores=scores, judged=(), search="s"))
    found = tried_scores(store, "s")[an_edit().edit_id]
    assert (found.value, found.std_error) == pytest.approx((0.2, ((0.1 * 0.4) ** 2 + (0.5 * 0.1) ** 2) ** 0.5))
    assert tried_scores(store, "another") == {}


def test_the_robustness_of_an_edited_network_is_not_that_of_the_untouched(full):
    asked = CHECKPOINT.checkpoint_id, ASKED_ON.name
    assert known_robustness(full, *asked, SAMPLE) == set(CORRUPTIONS)
    assert known_robustness(full, *asked, "another sample") == set()
    edited = a_checkpoint(8)
    edit = replace(an_edit(), checkpoint_id=edited.checkpoint_id)
    record_edit(full, a_record(full, edit, edited))
    assert known_robustness(full, edited.checkpoint_id, ASKED_ON.name, SAMPLE) == set()


def test_a_trace_is_known_by_its_network_and_its_task(full):
    assert is_traced(full, CHECKPOINT.checkpoint_id, a_task("facts").task_id)
    assert not is_traced(full, CHECKPOINT.checkpoint_id, TASK)


def test_a_change_of_weights_comes_back_as_it_was_and_an_altered_or_lost_one_is_named(store):
    edit = an_edit()
    stored = write_delta(store, edit, b"weights")
    assert stored.path == edit.relative_path
    assert read_delta(store, stored) == b"weights"
    place = store.edits / stored.path
    place.write_bytes(b"other")
    with pytest.raises(SummaryCorrupt, match=r"is not the one that was recorded: restore it$"):
        read_delta(store, stored)
    place.unlink()
    with pytest.raises(SummaryMissing, match="no change of weights at"):
        read_delta(store, stored)


def test_the_check_finds_a_missing_an_orphaned_and_an_altered_change_of_weights(full):
    assert check(full) == []
    (path,) = (path for path in full.edits.rglob("*.safetensors"))
    name = path.relative_to(full.edits).as_posix()
    body = path.read_bytes()
    path.write_bytes(body + b"?")
    assert kinds(full) == [("digest changed", name)]
    path.unlink()
    assert kinds(full) == [("missing file", name)]
    path.write_bytes(body)
    orphan = write_delta(full, an_edit(seed=9), b"weights")
    assert kinds(full) == [("orphaned file", orphan.path)]


def test_an_edit_that_was_fitted_again_has_the_file_of_its_newest_run(full):
    edit = an_edit()
    stored = write_delta(full, edit, b"other weights")
    assert kinds(full) == [("digest changed", stored.path)]
    again = a_record(full, edit, minutes=5)
    record_edit(full, replace(again, delta=write_delta(full, edit, b"other weights")))
    publish(full)
    assert check(full) == []
    assert stored_delta(full, edit.edit_id) == stored


def test_an_edit_whose_weights_were_not_kept_lacks_no_file(store):
    record_edit(store, a_record(store, an_edit(), delta=None))
    orphan = store.edits / an_edit().relative_path
    orphan.unlink()
    publish(store)
    assert check(store) == []
    assert stored_delta(store, an_edit().edit_id) is None
