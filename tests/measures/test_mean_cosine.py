"""Mean cosine."""

import pytest
import torch

from service.measures import Cloud
from service.measures.mean_cosine import mean_cosine


def test_a_value_by_hand():
    # Cosines of the three pairs: 1, 0 and 0.
    points = torch.tensor([[1.0, 0], [5, 0], [0, 2]])
    assert mean_cosine(Cloud(points))[""].value == pytest.approx(1 / 3)


def test_the_value_is_that_of_all_pairs(gaussian):
    points = gaussian(70, 5) + 0.5
    units = points / points.norm(dim=1, keepdim=True)
    pairs = units @ units.T
    expected = (pairs.sum() - pairs.trace()) / (70 * 69)
    assert mean_cosine(Cloud(points))[""].value == pytest.approx(expected.item())


def test_extremes():
    assert mean_cosine(Cloud(torch.ones(10, 4) * torch.arange(1.0, 11)[:, None]))[""].value == pytest.approx(1)
    assert mean_cosine(Cloud(torch.tensor([[1.0, 0], [-1, 0]])))[""].value == pytest.approx(-1)


def test_zero_points_have_no_direction_and_are_dropped(gaussian):
    points = gaussian(50, 5) + 1
    with_zeros = torch.cat([points, torch.zeros(7, 5, dtype=torch.float64)])
    items = torch.arange(57) // 5
    whole = mean_cosine(Cloud(points, items[:50]))[""]
    found = mean_cosine(Cloud(with_zeros, items))[""]
    assert found.value == pytest.approx(whole.value)
    assert found.std_error == pytest.approx(whole.std_error)
    assert (found.n_used, found.n_dropped) == (50, 7)


def test_the_error_is_the_spread_over_samples(gaussian):
    found = [mean_cosine(Cloud(gaussian(200, 6, seed) + 0.6))[""] for seed in range(60)]
    values = torch.tensor([one.value for one in found])
    errors = torch.tensor([one.std_error for one in found])
    assert 0.75 < values.std() / errors.mean() < 1.3
