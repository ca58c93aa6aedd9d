"""Summaries go to disk whole and come back equal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pyarrow.parquet as pq
import pytest
import torch
from store_builders import DATASET, FACTS, a_checkpoint, a_site, a_summary

from service.errors import SummaryCorrupt, SummaryMissing
from service.storage.activations import read_summary, stored_sites, write_summary


def assert_equal(found, expected):
    assert (found.site, found.facts, found.loss) == (expected.site, expected.facts, expected.loss)
    assert (found.hidden_state_index, found.tokens_seen, found.non_finite) == (
        expected.hidden_state_index,
        expected.tokens_seen,
        expected.non_finite,
    )
    for name in ("item_id", "char_end", "token_id", "position", "special"):
        one, other = getattr(found.sample, name), getattr(expected.sample, name)
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert found.states.dtype == expected.states.dtype
    assert torch.equal(found.states, expected.states)
    assert found.moments.keys() == expected.moments.keys()
    for positions, moments in expected.moments.items():
        assert found.moments[positions].tokens == moments.tokens
        assert torch.equal(found.moments[positions].mean, moments.mean)
        assert torch.equal(found.moments[positions].spectrum, moments.spectrum)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("layer", [0, 1, 3])
def test_a_summary_comes_back_equal_to_the_last_bit(store, dtype, layer):
    summary = a_summary(layer, dtype=dtype)
    stored = write_summary(store, summary)
    assert_equal(read_summary(store, summary.site, stored.digest), summary)


@pytest.mark.parametrize(
    "summary",
    [
        a_summary(points=0),
        a_summary(1, loss=False),
        a_summary(2, a_checkpoint(None, revision="abc")),
        a_summary(1, points=1, width=1),
    ],
    ids=["no tokens", "no loss", "no step", "one number"],
)
def test_a_summary_at_the_edge_comes_back_equal(store, summary):
    assert_equal(read_summary(store, write_summary(store, summary).site), summary)


def test_a_states_tensor_that_is_a_slice_of_another_is_written_as_it_reads(store):
    summary = a_summary(width=8)
    sliced = replace(summary, states=torch.arange(12 * 16, dtype=torch.float32).reshape(12, 16)[:, ::2])
    assert torch.equal(read_summary(store, write_summary(store, sliced).site).states, sliced.states)


def test_any_parquet_reader_sees_the_columns_and_what_is_said_of_them(store):
    summary = a_summary(1)
    stored = write_summary(store, summary)
    table = pq.read_table(store.activations / stored.path)
    assert table.column_names == ["item_id", "char_end", "token_id", "position", "special", "state"]
    assert str(table.schema.field("state").type).startswith("fixed_size_list<")
    said = table.schema.metadata
    assert said[b"isoscope.model"] == b'"tiny"'
    assert said[b"isoscope.layer"] == b"1"
    assert said[b"isoscope.dataset_digest"] == f'"{DATASET.digest}"'.encode()
    assert stored.path == "model=tiny/step=0/dataset=python-reference/layer=1/" + stored.site_id + ".parquet"
    assert (stored.points, stored.width, stored.dtype) == (12, 8, "float32")


def test_writing_it_again_gives_the_same_digest_and_leaves_no_draft(store):
    first, second = write_summary(store, a_summary()), write_summary(store, a_summary())
    assert first == second
    assert list((store.activations / ".drafts").iterdir()) == []


def test_of_two_runs_at_the_same_settings_the_first_file_stays_and_both_know_its_digest(store):
    first = write_summary(store, a_summary())
    other = write_summary(store, replace(a_summary(), states=a_summary().states + 1e-6))
    assert other.digest == first.digest
    assert torch.equal(read_summary(store, a_site()).states, a_summary().states)


def test_two_writers_at_once_agree_on_one_file(store):
    summaries = [replace(a_summary(points=2000), states=a_summary(points=2000).states + i * 1e-6) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(partial(write_summary, store), summaries))
    assert len({one.digest for one in stored}) == 1
    read_summary(store, a_site(), stored[0].digest)


def test_a_run_at_other_settings_replaces_the_file(store):
    first = write_summary(store, a_summary())
    other = write_summary(store, a_summary(dtype="float16", facts=replace(FACTS, dtype="float16")))
    assert other.digest != first.digest
    assert read_summary(store, a_site(), other.digest).states.dtype == torch.float16


def test_a_missing_summary_is_named(store):
    with pytest.raises(
        SummaryMissing, match=r"no activation summary of tiny step0 layer 0 on python-reference: .* is not there"
    ):
        read_summary(store, a_site())


@pytest.mark.parametrize("harm", ["truncated", "emptied", "one byte altered", "text"])
def test_a_damaged_summary_is_refused_in_one_line_even_without_its_digest(store, harm):
    path = store.activations / write_summary(store, a_summary()).path
    body = bytearray(path.read_bytes())
    start = body.find(a_summary().states.numpy().tobytes()[:16])
    assert start > 0
    body[start] ^= 1
    path.write_bytes({"truncated": body[:300], "emptied": b"", "one byte altered": body, "text": b"no parquet"}[harm])
    with pytest.raises(
        SummaryCorrupt, match=r"^the summary of tiny step0 layer 0 on python-reference cannot be read \(.*\): restore "
    ) as caught:
        read_summary(store, a_site())
    assert "\n" not in str(caught.value)


def test_a_summary_that_is_whole_but_not_the_recorded_one_is_refused(store):
    stored = write_summary(store, a_summary())
    with pytest.raises(SummaryCorrupt, match=r"is not the one that was recorded: .* was altered; restore it"):
        read_summary(store, a_site(), "0" * 32)
    other = store.activations / a_site(1).relative_path
    other.parent.mkdir(parents=True)
    (store.activations / stored.path).rename(other)
    with pytest.raises(SummaryCorrupt, match=r"is a summary of tiny step0, not of tiny step0 layer 1"):
        read_summary(store, a_site(1))


def test_whole_summaries_on_disk_are_found_for_adoption_and_damaged_or_foreign_ones_are_not(store):
    stored = [write_summary(store, a_summary(layer)) for layer in (2, 0, 1)]
    (store.activations / stored[2].path).write_bytes(b"half a file")
    write_summary(store, a_summary(0, a_checkpoint(0, revision="other weights")))
    write_summary(store, a_summary(0, a_checkpoint(1)))
    found = stored_sites(store, a_checkpoint(), DATASET.name, DATASET.digest)
    assert found == [stored[1], stored[0]]
    assert stored_sites(store, a_checkpoint(), DATASET.name, "another digest") == []
    assert stored_sites(store, a_checkpoint(7), DATASET.name, DATASET.digest) == []
