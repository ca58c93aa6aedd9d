"""Effective robustness: a planted line, scipy's regression, and accuracies of 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import linregress

from service.errors import BadInput, BadShape
from service.measures.effective_robustness import CLIP, effective_robustness, fitted_line


def test_a_planted_line_is_found_and_networks_on_it_have_none():
    clean = torch.tensor([0.6, 0.7, 0.8, 0.95], dtype=torch.float64)
    shifted = torch.from_numpy(expit(1.5 * logit(clean.numpy()) - 2))
    line = fitted_line(clean, shifted)
    assert (line.slope, line.intercept, line.n) == (pytest.approx(1.5), pytest.approx(-2), 4)
    assert line.r2 == pytest.approx(1)
    for one, other in zip(clean.tolist(), shifted.tolist(), strict=True):
        assert effective_robustness(one, other, line) == pytest.approx(0, abs=1e-12)
        assert effective_robustness(one, other - 0.1, line) == pytest.approx(-0.1)
    assert effective_robustness(0.9, 0.8, line) == pytest.approx(0.8 - expit(1.5 * logit(0.9) - 2))


@given(seed=st.integers(0, 1000), count=st.integers(3, 20))
@settings(max_examples=30, deadline=None)
def test_the_line_is_scipy_s(seed, count):
    clean, shifted = np.random.default_rng(seed).uniform(0.01, 0.99, (2, count))
    line, known = (
        fitted_line(torch.from_numpy(clean), torch.from_numpy(shifted)),
        linregress(logit(clean), logit(shifted)),
    )
    assert line.slope == pytest.approx(known.slope)
    assert line.intercept == pytest.approx(known.intercept)
    assert line.r2 == pytest.approx(known.rvalue**2)


def test_accuracies_of_0_and_1_are_held_away_from_infinity():
    line = fitted_line(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
    assert (line.slope, line.intercept) == (pytest.approx(1), pytest.approx(0, abs=1e-12))
    assert line.expected(1.0) == pytest.approx(1 - CLIP)
    assert effective_robustness(1.0, 1.0, line) == pytest.approx(CLIP)
    flat = fitted_line(torch.tensor([0.5, 0.6]), torch.tensor([0.3, 0.3]))
    assert (flat.slope, flat.r2) == (0, None)


def test_what_gives_no_line_is_refused():
    with pytest.raises(BadInput, match="a line needs 2 networks or more; got 1"):
        fitted_line(torch.tensor([0.5]), torch.tensor([0.5]))
    with pytest.raises(BadInput, match=r"networks of different clean accuracy; all 3 have 0\.5"):
        fitted_line(torch.full((3,), 0.5), torch.tensor([0.1, 0.2, 0.3]))
    with pytest.raises(BadShape, match="a clean and a shifted accuracy; got 2 and 1"):
        fitted_line(torch.tensor([0.5, 0.6]), torch.tensor([0.5]))
    line = fitted_line(torch.tensor([0.5, 0.6]), torch.tensor([0.3, 0.4]))
    for clean, shifted in ((90.0, 0.5), (0.5, -0.1), (0.5, float("nan"))):
        with pytest.raises(BadInput, match="an accuracy needs to be a share from 0 to 1"):
            effective_robustness(clean, shifted, line)
