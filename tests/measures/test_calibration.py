"""Calibration: by hand, by a slow twin, by scipy and scikit-learn, and of predictions that are calibrated by construction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binned_statistic

from service.errors import BadInput, BadShape
from service.measures.calibration import expected_calibration_error


def drawn(count, seed, sharpness=1.0):
    """Confidences, and answers that are right as often as they say to the power `sharpness`."""
    draw = torch.Generator().manual_seed(seed)
    confidence = torch.rand(count, generator=draw, dtype=torch.float64)
    return confidence, torch.rand(count, generator=draw, dtype=torch.float64) < confidence**sharpness


def slow(confidence, correct, bins):
    """The formula, bin by bin."""
    total = 0.0
    for place in range(bins):
        inside = [
            (sure, right)
            for sure, right in zip(confidence.tolist(), correct.tolist(), strict=True)
            if place / bins < sure <= (place + 1) / bins or (place == 0 and sure == 0)
        ]
        if inside:
            sure, right = np.mean(inside, axis=0)
            total += len(inside) / len(confidence) * abs(right - sure)
    return total


def test_the_error_by_hand():
    confidence = torch.tensor([0.9, 0.8, 0.6, 0.3])
    correct = torch.tensor([True, False, True, False])
    # halves: (0, 0.5] is 0.3 sure and never right, (0.5, 1] is 2.3 / 3 sure and right 2 times in 3
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx(0.25 * 0.3 + 0.75 * 0.1)
    assert expected_calibration_error(confidence, correct, bins=1) == pytest.approx(0.65 - 0.5)


def test_an_edge_belongs_to_the_bin_below_it():
    edge, above = torch.tensor([0.5, 0.5]).double(), torch.tensor([0.5, 0.51]).double()
    assert expected_calibration_error(edge, torch.tensor([True, False]), bins=2) == 0
    assert expected_calibration_error(above, torch.tensor([True, False]), bins=2) == pytest.approx(0.505)


@given(seed=st.integers(0, 1000), bins=st.integers(1, 40), count=st.integers(1, 80))
@settings(max_examples=40, deadline=None)
def test_both_are_those_of_independent_implementations(seed, bins, count):
    confidence, correct = drawn(count, seed, 2.0)
    found = expected_calibration_error(confidence, correct, bins)
    assert found == pytest.approx(slow(confidence, correct, bins), abs=1e-12)
    gaps = (correct.double() - confidence).numpy()
    sums = binned_statistic(confidence.numpy(), gaps, "sum", bins=bins, range=(0, 1)).statistic
    assert found == pytest.approx(np.abs(sums).sum() / count, abs=1e-12)


def test_what_is_calibrated_has_no_error_and_what_is_sure_and_wrong_has_all():
    assert expected_calibration_error(*drawn(200_000, 0)) < 0.01
    over = expected_calibration_error(*drawn(200_000, 0, 2.0))
    assert over == pytest.approx(1 / 6, abs=0.01)  # the mean of p - p^2
    ones = torch.ones(10)
    assert expected_calibration_error(ones, torch.zeros(10).bool()) == 1
    assert expected_calibration_error(ones, torch.ones(10).bool()) == 0
    assert expected_calibration_error(torch.zeros(10), torch.zeros(10).bool()) == 0


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_order_does_not_matter_and_more_bins_find_no_less(seed):
    confidence, correct = drawn(50, seed)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(seed))
    errors = [expected_calibration_error(confidence, correct, bins) for bins in (1, 5, 15, 60)]
    assert expected_calibration_error(confidence[order], correct[order]) == pytest.approx(errors[2])
    assert errors[0] <= errors[1] + 1e-12 <= errors[2] + 2e-12 <= errors[3] + 3e-12  # each bin is cut into whole ones
    assert errors[0] == pytest.approx(abs(float(confidence.mean() - correct.double().mean())))


def test_a_softmax_a_little_above_one_is_one_and_anything_else_is_refused():
    right = torch.tensor([True])
    assert expected_calibration_error(torch.tensor([1.000001]), right) == 0
    for wrong in (1.1, -0.1, float("nan")):
        with pytest.raises(BadInput, match="confidences from 0 to 1; some are outside, or NaN"):
            expected_calibration_error(torch.tensor([wrong]), right)
    with pytest.raises(BadShape, match="each confidence needs a mark; got 2 and 1"):
        expected_calibration_error(torch.ones(2), right)
    with pytest.raises(BadInput, match="one prediction or more; got none"):
        expected_calibration_error(torch.ones(0), torch.ones(0).bool())
    with pytest.raises(BadInput, match="1 bin or more; got 0"):
        expected_calibration_error(torch.ones(1), right, bins=0)
