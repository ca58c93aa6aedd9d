"""One exact search of neighbours, beside a slow one, for clouds that are hard on float32."""

import pytest
import torch

from service.measures import Cloud, catalogue
from service.measures.nearest import nearest
from service.measures.neighbours import neighbour_distances, ranks_up_to
from service.measures.repeated import distinct


def slow(points, ranks):
    """Every distance from its difference, in float64."""
    gaps = (points[:, None, :] - points[None, :, :]).square().sum(dim=2).sqrt()
    return gaps.sort(dim=1).values[:, list(ranks)]


def test_ranks_are_dense_up_to_twenty_and_then_powers_of_two():
    assert ranks_up_to(2) == (1, 2)
    assert ranks_up_to(128) == (*range(1, 21), 32, 64, 128)
    assert ranks_up_to(0) == ()


@pytest.mark.parametrize("k", [1, 2, 20, 128])
@pytest.mark.parametrize("kind", ["plain", "line", "tight", "outliers", "twins"])
def test_the_fast_search_gives_the_distances_of_the_slow_one(gaussian, kind, k):
    points = gaussian(500, 8)
    if kind == "line":
        points = points[:, :1] * torch.ones(1, 8)
    if kind == "tight":  # groups far narrower than float32 sees from the mean
        points = 1e-5 * points + gaussian(10, 8, 1).repeat(50, 1)
    if kind == "outliers":
        points[:5] *= 1e4
    if kind == "twins":
        points[:100] = points[100:200]
    points = points - points.mean(dim=0)
    ranks = ranks_up_to(k)
    found, expected = nearest(points, ranks), slow(points, ranks)
    torch.testing.assert_close(found[:, :20], expected[:, :20], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_the_search_goes_block_by_block(gaussian, monkeypatch):
    monkeypatch.setattr("service.measures.nearest.BLOCK_ENTRIES", 3000)
    points = gaussian(301, 5)
    torch.testing.assert_close(nearest(points, (1, 2, 3)), slow(points, (1, 2, 3)))


def test_repeated_points_are_dropped_and_counted(gaussian):
    points = gaussian(300, 6)
    points[:40] = points[100:140]
    points[40:60] = points[200]
    found = neighbour_distances(Cloud(points), 2)
    assert (found.n_used, found.n_dropped) == (240, 60)
    assert found.distances.min() > 0
    torch.testing.assert_close(points[found.kept].unique(dim=0), points.unique(dim=0))


def test_points_equal_up_to_the_rounding_of_a_batch_are_one_point(gaussian):
    points = gaussian(300, 64).float()
    points[:50] = points[100:150] * (1 + 2e-7 * torch.sign(gaussian(50, 64, 1)).float())
    assert (points[:50] != points[100:150]).any(dim=1).all()
    assert len(distinct(Cloud(points))) == 250
    assert len(distinct(Cloud(points.double()))) == 300


def test_near_points_are_not_taken_for_repeated_ones():
    line = torch.arange(3000, dtype=torch.float64)[:, None] / 3000
    assert len(distinct(Cloud((line * torch.ones(1, 3)).float()))) == 3000


def test_measures_share_one_search(gaussian, monkeypatch):
    calls = []
    monkeypatch.setattr("service.measures.neighbours.nearest", lambda *given: calls.append(1) or nearest(*given))
    cloud = Cloud(gaussian(300, 5))
    for measure in sorted(catalogue().values(), key=lambda measure: -measure.neighbours):
        if measure.neighbours:
            measure.corrected(cloud)
    assert len(calls) == 2  # the cloud and its Gaussian twin


def test_the_order_in_which_measures_ask_does_not_change_what_they_get(gaussian):
    points = gaussian(400, 12)
    few_first, many_first = Cloud(points), Cloud(points)
    few = neighbour_distances(few_first, 2)
    neighbour_distances(many_first, 128)
    torch.testing.assert_close(neighbour_distances(many_first, 2).first(2), few.first(2), rtol=0, atol=0)


def test_a_coordinate_shared_by_all_costs_no_digits(gaussian):
    points = gaussian(400, 30).float()
    massive = points.clone()
    massive[:, 3] += 1e4
    there = Cloud(massive)
    exact = slow(massive.double() - massive.double().mean(dim=0), (1, 2))
    torch.testing.assert_close(neighbour_distances(there, 2).distances, exact, rtol=1e-9, atol=0)
