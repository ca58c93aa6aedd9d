"""A run is recorded whole, once, in the ledger and in the database."""

from __future__ import annotations

import math
from dataclasses import replace

import duckdb
import pytest
from sqlalchemy import text
from store_builders import DATASET, FACTS, a_checkpoint, an_entry

from service.errors import BadInput, NetworkMismatch
from service.results import LayerResult
from service.storage import coverage, ledger
from service.storage.answers import as_rows, ask
from service.storage.consistency import check
from service.storage.database import looking, publish
from service.storage.rows import record


def published(store, query, parameters=None):
    publish(store)
    return as_rows(ask(store, query, parameters))[1]


def count(store, table):
    with looking(store) as connection:
        return connection.execute(text(f"select count(*) from {table}")).scalar()


def test_a_recorded_run_is_seen_by_sql_with_all_that_was_said_of_it(store):
    entry = an_entry(store)
    record(store, entry)
    assert published(store, "select model, family, kind, layers, width, parameters, seed from lab.models") == [
        ("tiny", "gpt_neox", "decoder", 2, 8, 1000, None)
    ]
    assert published(
        store, "select layer, anisotropy, std_error, anisotropy_not_first from lab.anisotropy_by_layer order by layer"
    ) == [
        (0, 0.5, 0.01, 0.25),
        (1, 0.5, 0.01, 0.25),
    ]
    assert published(store, "select loss, tokens from lab.loss_by_checkpoint") == [(3.25, 900)]
    seconds = published(
        store, "select seconds_load, seconds_extract, seconds_measure, seconds, seconds_record from lab.runs"
    )
    load, extract, measure, whole, recording = seconds[0]
    assert (load, extract, measure) == (1.5, None, 0.5)
    assert whole == pytest.approx(2 + recording)
    paths = [path for (path,) in published(store, "select path from lab.activations order by layer")]
    assert paths == [stored.path for _, stored in entry.summaries]


def test_an_undefined_value_is_null_with_its_reason_and_a_variant_is_taken_apart(store):
    record(store, an_entry(store, layers=1))
    rows = published(
        store,
        "select procedure, positions, detail, value, note, n_dropped from lab.layer_metrics "
        "where measure = 'twonn' order by all",
    )
    assert rows == [
        ("corrected", "all", "gaussian", 10.0, None, 1),
        ("corrected", "all", None, 5.0, None, 1),
        ("corrected", "not-first", None, None, "only 2 points differ", 7),
    ]


def test_recording_the_same_run_twice_changes_nothing(store):
    entry = an_entry(store)
    record(store, entry)
    before = [count(store, table) for table in ("runs", "layer_metrics", "activations", "checkpoint_losses")]
    record(store, entry)
    assert [count(store, table) for table in ("runs", "layer_metrics", "activations", "checkpoint_losses")] == before
    assert before == [1, 14, 2, 1]
    publish(store)
    assert check(store) == []


def test_the_newest_run_is_shown_even_where_it_found_a_value_undefined(store):
    record(store, an_entry(store, minutes=5, value=0.75))
    record(store, an_entry(store, minutes=0, value=0.25))
    shown = "select distinct anisotropy from lab.anisotropy_by_layer"
    assert published(store, shown) == [(0.75,)]
    newest = an_entry(store, minutes=9)
    undefined = [
        LayerResult(one.site_id, one.measure, 1, one.variant, replace(one.estimate, value=None, note="no spread"))
        for one in newest.results
    ]
    record(store, replace(newest, results=undefined))
    assert published(store, shown) == [(None,)]
    assert published(store, "select distinct twonn, note from lab.intrinsic_dimension_by_layer") == [
        (None, "no spread")
    ]
    assert published(store, "select count(*), count(distinct run_id) from lab.layer_metrics") == [(14, 1)]
    assert count(store, "layer_metrics") == 42


def test_released_and_corrected_stand_side_by_side_with_their_difference(store):
    record(store, an_entry(store, layers=1))
    shown = published(
        store,
        "select measure, released, corrected, difference, n_released, n_corrected from lab.released_and_corrected",
    )
    assert shown == [("anisotropy", 0.75, 0.5, 0.25, 12, 1000)]


def test_gride_is_shown_by_scale(store):
    record(store, an_entry(store, layers=1))
    assert published(store, "select positions, scale, gride, gride_gaussian from lab.intrinsic_dimension_by_scale") == [
        ("all", 8, 4.5, None)
    ]


def test_several_revisions_without_a_step_live_side_by_side(store):
    for revision in ("a", "b"):
        record(store, an_entry(store, checkpoint=a_checkpoint(None, revision=revision)))
    assert published(store, "select step, revision from lab.checkpoints order by all") == [(None, "a"), (None, "b")]


REFUSED = {
    "other weights": (
        {"checkpoint": a_checkpoint(0, revision="other")},
        NetworkMismatch,
        r"^tiny step 0 is recorded with the weights of revision tiny-0-weights; these are of revision other: "
        r"give this network another --name$",
    ),
    "another shape": (
        {"facts": replace(FACTS, width=16), "checkpoint": a_checkpoint(1)},
        NetworkMismatch,
        r"^tiny is recorded as gpt_neox of 2 layers, width 8 and 1000 parameters; this one is gpt_neox of 2 layers, "
        r"width 16 and 1000 parameters: give it another --name$",
    ),
    "other content": (
        {"dataset": replace(DATASET, digest="e" * 16), "checkpoint": a_checkpoint(1), "written": False},
        BadInput,
        r"^the content of python-reference changed since it was recorded \(digest d+, now e+\): "
        r"give it another name, or use another store$",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_name_that_stands_for_something_else_is_refused_and_nothing_is_recorded(store, what):
    change, error, wording = REFUSED[what]
    record(store, an_entry(store))
    before = ledger.run_ids(store.ledger), count(store, "layer_metrics"), count(store, "checkpoints")
    with pytest.raises(error, match=wording):
        record(store, an_entry(store, minutes=1, **change))
    assert (ledger.run_ids(store.ledger), count(store, "layer_metrics"), count(store, "checkpoints")) == before
    assert list((store.ledger / ".drafts").iterdir()) == []


def test_a_mixture_is_refused_before_any_network_is_loaded(store):
    record(store, an_entry(store))
    coverage.refuse_mixture(store, a_checkpoint(), DATASET)
    coverage.refuse_mixture(store, a_checkpoint(5), DATASET)
    with pytest.raises(NetworkMismatch, match="revision other"):
        coverage.refuse_mixture(store, a_checkpoint(0, revision="other"), DATASET)
    with pytest.raises(BadInput, match="the content of python-reference changed"):
        coverage.refuse_mixture(store, a_checkpoint(), replace(DATASET, digest="e" * 16))


def test_coverage_tells_what_is_there_by_measure_version_procedure_and_positions(store):
    entry = an_entry(store)
    identity = entry.checkpoint.checkpoint_id
    assert coverage.recorded_sites(store, identity, DATASET.name) == []
    record(store, entry)
    sites = coverage.recorded_sites(store, identity, DATASET.name)
    assert sites == [summary.site for summary, _ in entry.summaries]
    measured = coverage.measured(store, identity, DATASET.name)
    assert (sites[0].site_id, "anisotropy", 1, "released/all") in measured
    assert (sites[1].site_id, "gride", 1, "corrected/all") in measured
    assert (sites[1].site_id, "anisotropy", 1, "corrected/not-special") not in measured
    assert coverage.measured(store, identity, "another") == set()


def test_one_look_tells_the_holdings_of_many_checkpoints(store):
    entries = [an_entry(store, step, minutes=step, layers=1 + step) for step in range(2)]
    for entry in entries:
        record(store, entry)
    identities = [entry.checkpoint.checkpoint_id for entry in entries]
    found = coverage.holdings(store, [*identities, "unknown"], DATASET.name)
    for identity in identities:
        assert found[identity].sites == coverage.recorded_sites(store, identity, DATASET.name)
        assert found[identity].measured == coverage.measured(store, identity, DATASET.name)
    assert [len(found[identity].sites) for identity in identities] == [1, 2]
    assert found["unknown"] == coverage.Holding()
    assert coverage.holdings(store, [], DATASET.name) == {}


def test_a_loss_that_is_not_finite_is_null(store):
    entry = an_entry(store)
    record(store, replace(entry, loss=replace(entry.loss, loss=math.nan)))
    assert published(store, "select loss, tokens from lab.loss_by_checkpoint") == [(None, 900)]


def test_the_database_itself_refuses_nan(store):
    from service.storage.database import writing

    with pytest.raises(Exception, match="CHECK constraint failed") as caught, writing(store) as connection:
        connection.execute(
            text("insert into layer_metrics values ('s', 'm', 1, 'v', 'r', 'nan'::double, null, 1, 0, null)")
        )
    assert isinstance(caught.value.orig, duckdb.ConstraintException)
    assert count(store, "layer_metrics") == 0
