"""Attribution scores come back as they were written, or not at all."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from service.errors import SummaryCorrupt, SummaryMissing
from service.storage.attribution_scores import Scores, extremes, read_scores, write_scores
from service.storage.database import open_store

SCORES = Scores(
    np.array([7, 3]), np.array([5, 9, 2]), np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]], dtype=np.float32)
)


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", 5)


def test_scores_come_back_bit_for_bit_and_in_their_order(store):
    stored = write_scores(store, "abc", SCORES, {"method": "trak"})
    found = read_scores(store, stored.path, stored.digest)
    assert found.target_items.tolist() == [7, 3]
    assert found.train_items.tolist() == [5, 9, 2]
    assert (found.values == SCORES.values).all()
    assert found.mean.tolist() == [0.75, -0.625, 0.625]


def test_a_person_reads_them_as_one_row_a_target_and_training_item(store):
    stored = write_scores(store, "abc", SCORES, {"method": "trak"})
    table = pq.read_table(store.attributions / stored.path)
    assert table.slice(1, 1).to_pylist() == [{"target_item": 7, "train_item": 9, "score": -1.5}]
    assert table.schema.metadata[b"isoscope.method"] == b"trak"


def test_altered_and_lost_scores_are_named(store):
    stored = write_scores(store, "abc", SCORES)
    place = store.attributions / stored.path
    place.write_bytes(place.read_bytes()[:-1] + b"?")
    with pytest.raises(SummaryCorrupt, match="are not those that were recorded"):
        read_scores(store, stored.path, stored.digest)
    place.unlink()
    with pytest.raises(SummaryMissing, match="no attribution scores at"):
        read_scores(store, stored.path, stored.digest)


def test_the_most_and_the_least_with_ties_by_number():
    found = extremes(np.array([1.0, 3.0, 3.0, -2.0]), [4, 9, 8, 1], 2)
    assert found == {"most": [(8, 3.0), (9, 3.0)], "least": [(1, -2.0), (4, 1.0)]}
