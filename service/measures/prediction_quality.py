"""How well a network predicts under a corruption, and how that differs from an untouched network: errors by image or text."""

from __future__ import annotations

import torch
from torch import Tensor

from service.edit_results import Predictions, Robustness
from service.errors import BadInput
from service.measures.calibration import expected_calibration_error
from service.measures.standard_error import clustered

UNTOUCHED = ("none", 0)


def robustness(family: str, severity: int, found: Predictions, untouched: Predictions | None = None) -> Robustness:
    """Accuracy, loss and calibration of a network's predictions under a corruption; with the `untouched` network's predictions
    of the same inputs, also the change of accuracy.

    Formulas: accuracy = mean of correct; change = mean of (correct - correct of the untouched network), pair by pair. Standard
    errors add up what the predictions of one group share. Loss and calibration error are None where the network gave no
    numbers. What changes nothing (severity 0, or the family ``none``) is called ``none`` at 0. Raises BadInput for fewer than 2
    predictions, and where the untouched network's are of other inputs.
    """
    if len(found) < 2:
        raise BadInput(f"robustness needs 2 predictions or more; got {len(found)}")
    if family == UNTOUCHED[0] or severity == UNTOUCHED[1]:
        family, severity = UNTOUCHED
    accuracy, error = _mean(found.correct.double(), found.groups)
    loss = float(found.loss.double().mean())
    sure = bool(torch.isfinite(found.confidence).all())
    change, change_error = (None, None) if untouched is None else _change(found, untouched)
    return Robustness(
        corruption=family,
        severity=severity,
        accuracy=accuracy,
        std_error=error,
        loss=loss if torch.isfinite(found.loss).all() else None,
        calibration_error=expected_calibration_error(found.confidence, found.correct) if sure else None,
        n=len(found),
        change=change,
        change_std_error=change_error,
    )


def _change(found: Predictions, untouched: Predictions) -> tuple[float, float]:
    if not torch.equal(found.groups, untouched.groups):
        raise BadInput(
            f"a change needs both networks' predictions of the same inputs in one order; got {len(found)} and "
            f"{len(untouched)} of other images or texts"
        )
    return _mean(found.correct.double() - untouched.correct.double(), found.groups)


def _mean(values: Tensor, groups: Tensor) -> tuple[float, float]:
    """The mean and its standard error by group."""
    mean = values.mean()
    return float(mean), clustered(values - mean, groups) or 0.0
