"""Effective rank."""

import math

import pytest
import torch

from service.measures import Cloud
from service.measures.effective_rank import effective_rank
from service.results import Moments


def test_a_value_by_hand():
    # Singular values in the ratio 3 : 1.
    cross = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(Cloud(cross))[""].value == pytest.approx(math.exp(entropy))


def test_a_line_has_one_and_an_even_cloud_its_width(gaussian):
    assert effective_rank(Cloud(gaussian(100, 1) * torch.ones(1, 5)))[""].value == pytest.approx(1)
    assert effective_rank(Cloud(torch.cat([torch.eye(6), -torch.eye(6)])))[""].value == pytest.approx(6)


def test_the_value_is_that_of_singular_values(gaussian):
    points = gaussian(40, 90)
    sizes = torch.linalg.svdvals(points - points.mean(dim=0))[:39]
    shares = sizes / sizes.sum()
    assert effective_rank(Cloud(points))[""].value == pytest.approx((-(shares * shares.log()).sum()).exp().item())


def test_streamed_moments_count(gaussian):
    moments = Moments(900, torch.zeros(4).double(), torch.tensor([1.0, 1, 1, 0]).double())
    estimate = effective_rank(Cloud(gaussian(50, 4), None, moments))[""]
    assert estimate.value == pytest.approx(3)
    assert estimate.n_used == 900


def test_the_error_is_the_spread_over_samples(gaussian):
    stretch = torch.tensor([4.0, 2, 1, 0.5, 0.25])
    found = [effective_rank(Cloud(gaussian(300, 5, seed) * stretch))[""] for seed in range(60)]
    values = torch.tensor([one.value for one in found])
    errors = torch.tensor([one.std_error for one in found])
    assert 0.75 < values.std() / errors.mean() < 1.3
