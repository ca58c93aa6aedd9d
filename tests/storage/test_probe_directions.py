"""Directions of probes: what was written comes back, and what is missing, damaged or of other settings is told apart."""

from __future__ import annotations

import pytest
import torch
from store_builders import a_checkpoint

from service.errors import SummaryCorrupt, SummaryMissing
from service.storage.database import open_store
from service.storage.probe_directions import Direction, read_directions, stored_directions, write_directions
from service.subjects import Concept

CONCEPT = Concept("even/odd", "column:even", "python-reference", "ab" * 8, 10, 4)
CHECKPOINT = a_checkpoint(16)


def some_directions(layers=(0, 3), seeds=(0, 1)):
    draw = torch.Generator().manual_seed(0)
    return [
        Direction(layer, "residual", seed, torch.randn(4 + layer, generator=draw), layer + seed / 3)
        for layer in layers
        for seed in seeds
    ]


def files(store):
    return sorted(path for path in store.probes.rglob("*") if path.is_file())


def test_what_was_written_comes_back_layer_by_layer_and_seed_by_seed(store):
    written = some_directions()
    write_directions(store, CHECKPOINT, CONCEPT, "all", 5, written)
    write_directions(store, CHECKPOINT, CONCEPT, "all", 5, written)  # again: the same file
    write_directions(store, CHECKPOINT, CONCEPT, "all", 5, some_directions((1,), (2,)))
    found = read_directions(store, CHECKPOINT, CONCEPT)
    assert {layer: [one.seed for one in there] for layer, there in found.items()} == {0: [0, 1], 1: [2], 3: [0, 1]}
    for one in written:
        back = found[one.layer][one.seed]
        assert torch.equal(back.weights, one.weights)
        assert (back.bias, back.stream) == (one.bias, one.stream)
    assert len(files(store)) == 2
    assert stored_directions(store, CHECKPOINT, CONCEPT, "all", 5) == {(0, 0), (0, 1), (1, 2), (3, 0), (3, 1)}


@pytest.mark.parametrize(
    "other",
    [
        {"checkpoint": a_checkpoint(16, revision="other weights")},
        {"concept": Concept("even/odd", "column:even", "python-reference", "cd" * 8, 10, 4)},
        {"positions": "not-first"},
        {"folds": 4},
    ],
)
def test_other_weights_labels_tokens_or_folds_have_directions_of_their_own(store, other):
    write_directions(store, CHECKPOINT, CONCEPT, "all", 5, some_directions())
    with pytest.raises(SummaryMissing, match=r"^no probe directions of 'even/odd' at .* run `isoscope probe`$"):
        read_directions(store, **{"checkpoint": CHECKPOINT, "concept": CONCEPT, **other})


def test_a_damaged_file_is_told_of_in_one_line(store):
    write_directions(store, CHECKPOINT, CONCEPT, "all", 5, some_directions())
    (path,) = files(store)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SummaryCorrupt, match=r"^the probe directions in .* cannot be read \(.*\): delete the file$"):
        read_directions(store, CHECKPOINT, CONCEPT)


def test_an_object_store_holds_them_too(s3):
    store = open_store(f"s3://{s3.new_bucket()}/probes", 20)
    write_directions(store, CHECKPOINT, CONCEPT, "all", 5, some_directions())
    assert list(read_directions(store, CHECKPOINT, CONCEPT)) == [0, 3]
    with pytest.raises(SummaryMissing):
        read_directions(store, a_checkpoint(64), CONCEPT)
