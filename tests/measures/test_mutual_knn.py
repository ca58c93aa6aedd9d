"""Mutual neighbours where points are repeated: of two vocabularies' embeddings nothing is told by the tokens being the same."""

import pytest
import torch
from paired import related

from service.measures import Cloud, find_pair
from service.measures.all_pairs import all_pairs

MUTUAL = find_pair("mutual_knn")


def tables(seed, vocabulary=400, points=1500, width=24):
    """Rows of two unrelated tables that are looked up by the same ids, a few of which are frequent."""
    draw = torch.Generator().manual_seed(seed)
    ids = (torch.rand(points, generator=draw) ** 3 * vocabulary).long()
    return ids, *(torch.randn(vocabulary, width, generator=draw)[ids] for _ in range(2))


def test_unrelated_embeddings_of_one_vocabulary_agree_as_much_as_chance():
    ids, a, b = tables(0)
    found = MUTUAL.of(Cloud(a), Cloud(b))
    distinct = len(ids.unique())
    assert (found.n_used, found.n_dropped) == (distinct, 1500 - distinct)
    assert found.note == f"{1500 - distinct} of 1500 points repeat others in one of the clouds and are left out"
    assert found.value == pytest.approx(10 / (distinct - 1), abs=0.02)
    (one,) = all_pairs([Cloud(a)], [Cloud(b)], [MUTUAL], 39)
    assert one.null.mean == pytest.approx(10 / (distinct - 1), abs=0.005)
    assert one.null.p > 0.05


def test_an_embedding_against_a_layer_after_it_leaves_no_equal_points_in_either():
    ids, a, _ = tables(1)
    draw = torch.Generator().manual_seed(2)
    later = a + 0.1 * torch.randn(a.shape, generator=draw)
    later[5:9] = later[5]  # equal in the second cloud alone
    found = MUTUAL.of(Cloud(a), Cloud(later))
    assert found.n_used <= len(ids.unique())
    assert found.value > 0.5
    assert MUTUAL.of(Cloud(later), Cloud(a)) == found


@pytest.mark.parametrize("second", ["a table", "a later layer"])
def test_points_in_another_order_have_the_same_neighbours_also_where_some_are_repeated(second):
    _, a, b = tables(3)
    draw = torch.Generator().manual_seed(4)
    if second == "a later layer":
        b = b + 0.1 * torch.randn(b.shape, generator=draw)
    order = torch.randperm(len(a), generator=draw)
    assert MUTUAL.of(Cloud(a[order]), Cloud(b[order])) == MUTUAL.of(Cloud(a), Cloud(b))


def test_a_point_that_stands_twice_in_both_clouds_changes_nothing():
    a, b = related(5)
    again = torch.cat([torch.arange(120), torch.arange(0, 120, 3)])
    repeated = MUTUAL.of(Cloud(a.points[again]), Cloud(b.points[again]))
    alone = MUTUAL.of(a, b)
    assert (repeated.value, repeated.n_used, repeated.n_dropped) == (alone.value, 120, 40)


def test_too_few_points_that_are_not_repeated_are_counted():
    _, a, b = tables(6, vocabulary=8)
    found = MUTUAL.of(Cloud(a), Cloud(b))
    assert found.value is None
    assert found.note.startswith("needs at least 12 points for 10 neighbours; 1492 of 1500 points repeat others")
