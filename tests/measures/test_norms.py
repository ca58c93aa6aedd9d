"""Norms."""

import pytest
import torch

from service.measures import Cloud
from service.measures.norms import norm_max, norm_mean, norm_min


def test_values_by_hand():
    points = torch.tensor([[3.0, 4], [0, 1], [0, 0], [6, 8]])
    assert norm_min(Cloud(points))[""].value == 0
    assert norm_mean(Cloud(points))[""].value == 4
    assert norm_max(Cloud(points))[""].value == 10


def test_the_error_of_the_mean_is_its_own_and_grows_where_texts_hold_together(gaussian):
    points = gaussian(400, 3)
    lengths = points.norm(dim=1)
    alone = norm_mean(Cloud(points))[""].std_error
    assert alone == pytest.approx(lengths.std().item() / 20)
    texts = points[:20].repeat_interleave(20, 0)
    together = norm_mean(Cloud(texts, torch.arange(400) // 20))[""].std_error
    assert together == pytest.approx(lengths[:20].std().item() / 20**0.5)


def test_the_error_of_an_extreme_is_that_of_two_halves(gaussian):
    lengths = torch.tensor([10.0, 7, 6, 2])
    points = lengths[:, None] * torch.eye(4)
    # One half holds 10, the other begins at 7, 6 or 2 with chances 4 : 2 : 1.
    expected = ((4 * 9 + 2 * 16 + 1 * 64) / 7 / 2) ** 0.5
    assert norm_max(Cloud(points))[""].std_error == pytest.approx(expected)
    # Of two texts, whose longest are 10 and 6, one half holds the one and the other the other.
    texts = norm_max(Cloud(points, torch.tensor([4, 4, 9, 9])))[""]
    assert texts.std_error == pytest.approx((16 / 2) ** 0.5)
    assert norm_min(Cloud(points, torch.tensor([4, 4, 9, 9])))[""].std_error == pytest.approx((25 / 2) ** 0.5)


def test_the_error_of_an_extreme_is_near_the_spread_over_samples(gaussian):
    for measure in (norm_min, norm_max):
        found = [measure(Cloud(gaussian(300, 6, seed)))[""] for seed in range(80)]
        values = torch.tensor([one.value for one in found])
        errors = torch.tensor([one.std_error for one in found])
        assert 0.6 < values.std() / errors.mean() < 1.6
