"""The growth of the norm with depth: exact exponentials and lines, hand-computed fits, and errors against a bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from service.measures.layered import Layered
from service.measures.norm_growth import DECLARED, norm_growth

NAMES = ("norm_growth_rate", "norm_growth_r_squared", "norm_linear_r_squared")


def clouds_of(norms, texts=None):
    """Clouds of width 2 whose points have these norms, (layers, points); the first layer is the embedding."""
    norms = torch.as_tensor(norms, dtype=torch.float64)
    place = torch.arange(norms.shape[1])
    text = place // 10 if texts is None else texts
    states = torch.stack([0.6 * norms, -0.8 * norms], dim=2)
    return Layered(tuple(range(len(norms))), states, text, place % 10, place % 10, text)


def constant(means, points=20):
    """Every point of a layer as long as its mean."""
    return clouds_of(torch.as_tensor(means, dtype=torch.float64)[:, None].repeat(1, points))


def noisy(points=600, seed=0, layers=6):
    """Norms that grow about exponentially, alike within a text."""
    draw = np.random.default_rng(seed)
    shared = np.repeat(draw.normal(size=(layers, points // 10)), 10, axis=1)
    own = draw.normal(size=(layers, points))
    depth = np.arange(layers)[:, None]
    return clouds_of(np.exp(0.3 * depth + 0.2 * np.sin(depth) + 0.2 * shared + 0.1 * own))


def test_an_exact_exponential_has_its_rate_and_an_r_squared_of_1():
    # The embedding, far off the curve, is not in the fit.
    found = norm_growth(constant([100.0, *(2 * math.exp(0.25 * layer) for layer in range(1, 7))]))
    assert found["norm_growth_rate"].value == pytest.approx(0.25)
    assert found["norm_growth_r_squared"].value == pytest.approx(1)
    assert found["norm_linear_r_squared"].value < 0.99
    assert found["norm_growth_rate"].std_error == pytest.approx(0, abs=1e-9)


def test_an_exact_line_has_a_linear_r_squared_of_1_and_no_exponential_one():
    found = norm_growth(constant([0.5, 1, 2, 3, 4, 5]))
    assert found["norm_linear_r_squared"].value == pytest.approx(1)
    assert found["norm_growth_r_squared"].value < 0.97


def test_values_by_hand_and_by_numpy():
    means = [1.0, 2.0, 3.0, 7.0]
    found = norm_growth(constant([9.0, *means]))
    depth = np.arange(1, 5)
    rate, start = np.polyfit(depth, np.log(means), 1)
    left = np.log(means) - start - rate * depth
    assert found["norm_growth_rate"].value == pytest.approx(rate)
    explained = 1 - (left**2).sum() / np.var(np.log(means)) / 4
    assert found["norm_growth_r_squared"].value == pytest.approx(explained)
    # The line 3.25 + 1.9 (l - 2.5) leaves residuals 0.6, -0.3, -1.2, 0.9: 2.7 of 20.75.
    assert found["norm_linear_r_squared"].value == pytest.approx(1 - 2.7 / 20.75)


def test_turning_changes_nothing_and_scaling_no_rate():
    clouds = noisy()
    turn = torch.linalg.qr(torch.randn(2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    before = norm_growth(clouds)
    after = norm_growth(clouds.with_states(3 * clouds.states @ turn))
    for name in NAMES:
        assert after[name].value == pytest.approx(before[name].value)
        assert after[name].std_error == pytest.approx(before[name].std_error)


def test_the_standard_errors_are_those_of_a_bootstrap_over_texts():
    clouds = noisy()
    found, draw = norm_growth(clouds), torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(400):
        tokens = (torch.randint(60, (60,), generator=draw)[:, None] * 10 + torch.arange(10)).flatten()
        again = Layered(clouds.layers, clouds.states[:, tokens], *[torch.arange(600)] * 4)
        drawn.append(norm_growth(again))
    for name in NAMES:
        spread = torch.tensor([one[name].value for one in drawn]).std().item()
        assert found[name].std_error == pytest.approx(spread, rel=0.25), name
    alone = norm_growth(clouds_of(clouds.states.norm(dim=2), torch.arange(600)))
    assert alone["norm_growth_rate"].std_error < 0.6 * found["norm_growth_rate"].std_error


def test_the_jackknife_of_two_texts_by_hand():
    # Without the one text the rate is 0.3, without the other 0.1: sqrt(1/2 (0.1^2 + 0.1^2)).
    depth = torch.arange(5, dtype=torch.float64)[:, None]
    norms = torch.cat([torch.exp(0.1 * depth).repeat(1, 10), torch.exp(0.3 * depth).repeat(1, 10)], dim=1)
    assert norm_growth(clouds_of(norms))["norm_growth_rate"].std_error == pytest.approx(0.1)


def test_one_text_has_a_rate_without_an_error():
    found = norm_growth(clouds_of(noisy(10).states.norm(dim=2)))
    assert found["norm_growth_rate"].value is not None
    assert found["norm_growth_rate"].std_error is None


def test_an_undefined_value_says_why():
    two = norm_growth(constant([1.0, 2, 3]))
    assert {one.note for one in two.values()} == {"a fit needs the outputs of 3 blocks or more; there are 2"}
    zero = norm_growth(constant([1.0, 2, 0, 3]))
    assert {one.note for one in zero.values()} == {"the mean norm of layer 2 is 0"}
    level = norm_growth(constant([1.0, 2, 2, 2]))
    assert level["norm_growth_rate"].value == pytest.approx(0, abs=1e-15)
    assert level["norm_growth_r_squared"].note == "the mean norm is the same at every layer"
    empty = norm_growth(noisy().where(torch.zeros(600, dtype=torch.bool)))
    assert {one.note for one in empty.values()} == {"no token is left"}


def test_every_measure_declares_itself():
    assert tuple(one.name for one in DECLARED) == NAMES
    assert {one.subject for one in DECLARED} == {"checkpoint"}
