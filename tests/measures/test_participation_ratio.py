"""Participation ratio."""

import pytest
import torch

from service.measures import Cloud
from service.measures.participation_ratio import participation_ratio


def test_a_value_by_hand():
    # Eigenvalues in the ratio 9 : 1, so 100 / 82.
    cross = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]])
    assert participation_ratio(Cloud(cross))[""].value == pytest.approx(100 / 82)


def test_a_line_has_one_and_an_even_cloud_its_width(gaussian):
    assert participation_ratio(Cloud(gaussian(100, 1) * torch.ones(1, 5)))[""].value == pytest.approx(1)
    assert participation_ratio(Cloud(torch.cat([torch.eye(6), -torch.eye(6)])))[""].value == pytest.approx(6)


def test_the_value_is_that_of_traces(gaussian):
    points = gaussian(80, 7)
    second = torch.cov(points.T)
    expected = second.trace().square() / (second @ second).trace()
    assert participation_ratio(Cloud(points))[""].value == pytest.approx(expected.item())


def test_the_error_is_the_spread_over_samples(gaussian):
    stretch = torch.tensor([4.0, 2, 1, 0.5, 0.25])
    found = [participation_ratio(Cloud(gaussian(300, 5, seed) * stretch))[""] for seed in range(60)]
    values = torch.tensor([one.value for one in found])
    errors = torch.tensor([one.std_error for one in found])
    assert 0.75 < values.std() / errors.mean() < 1.3
