"""Robustness from predictions: by hand, and its standard errors against how values really scatter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from service.edit_results import Predictions
from service.errors import BadInput
from service.measures.calibration import expected_calibration_error
from service.measures.prediction_quality import robustness


def predictions(correct, groups=None, confidence=0.8, loss=1.5):
    """Predictions of which so many are right."""
    right = torch.as_tensor(correct, dtype=torch.bool)
    place = torch.arange(len(right)) if groups is None else torch.as_tensor(groups)
    return Predictions(right, torch.full((len(right),), loss), torch.full((len(right),), confidence), place)


def test_robustness_by_hand():
    found, untouched = predictions([1, 1, 0, 0]), predictions([1, 1, 1, 0])
    row = robustness("jpeg", 2, found, untouched)
    assert (row.corruption, row.severity, row.accuracy, row.loss, row.n) == ("jpeg", 2, 0.5, 1.5, 4)
    assert row.std_error == pytest.approx((0.25 / 3) ** 0.5)
    assert row.calibration_error == pytest.approx(0.3, abs=1e-6)
    assert row.change == -0.25
    assert row.change_std_error == pytest.approx(np.std([0, 0, -1, 0], ddof=1) / 2)
    alone = robustness("jpeg", 2, found)
    assert (alone.change, alone.change_std_error) == (None, None)
    assert robustness("jpeg", 2, found, found).change == robustness("jpeg", 2, found, found).change_std_error == 0


def test_what_changes_nothing_is_called_none_at_0():
    rows = [robustness(family, severity, predictions([1, 0])) for family, severity in (("jpeg", 0), ("none", 3))]
    assert [(row.corruption, row.severity) for row in rows] == [("none", 0), ("none", 0)]


def test_standard_errors_are_how_values_scatter_where_texts_differ():
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 10)
    values, errors, naive = [], [], []
    for _ in range(300):
        ease = draw.beta(2, 2, 60)[groups]  # texts are harder or easier as a whole
        before, after = draw.random(600) < ease, draw.random(600) < ease**2
        row = robustness("casing", 1, predictions(after, groups), predictions(before, groups))
        values.append((row.accuracy, row.change))
        errors.append((row.std_error, row.change_std_error))
        naive.append((row.accuracy * (1 - row.accuracy) / 600) ** 0.5)
    assert np.mean(errors, axis=0) == pytest.approx(np.std(values, axis=0), rel=0.1)
    assert np.mean(naive) < 0.7 * np.std(values, axis=0)[0]


def test_predictions_that_are_no_numbers_leave_loss_and_calibration_unknown():
    row = robustness("jpeg", 1, predictions([1, 0], loss=float("inf")))
    assert (row.loss, row.accuracy) == (None, 0.5)
    assert row.calibration_error is not None
    row = robustness("jpeg", 1, predictions([0, 0], confidence=float("nan"), loss=float("nan")))
    assert (row.loss, row.calibration_error, row.accuracy) == (None, None, 0)


def test_calibration_is_that_of_all_predictions():
    draw = torch.Generator().manual_seed(0)
    found = Predictions(
        torch.rand(90, generator=draw) < 0.5, torch.rand(90), torch.rand(90, generator=draw), torch.arange(90) // 3
    )
    row = robustness("jpeg", 1, found)
    assert row.calibration_error == expected_calibration_error(found.confidence, found.correct)


def test_predictions_of_other_inputs_or_of_one_alone_are_refused():
    with pytest.raises(BadInput, match="the same inputs in one order; got 2 and 2 of other images or texts"):
        robustness("jpeg", 1, predictions([1, 0]), predictions([1, 0], [0, 0]))
    with pytest.raises(BadInput, match="the same inputs in one order; got 2 and 3"):
        robustness("jpeg", 1, predictions([1, 0]), predictions([1, 0, 1]))
    with pytest.raises(BadInput, match="robustness needs 2 predictions or more; got 1"):
        robustness("jpeg", 1, predictions([1]))
