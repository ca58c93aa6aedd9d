"""Is a network as often right as it says? Calibration of its confidence, the probability of the answer that it gives."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from service.errors import BadInput, BadShape

BINS = 15
OVER_ONE = 1e-5  # by which a softmax in single precision may exceed 1


def expected_calibration_error(
    confidence: Float[Tensor, " predictions"], correct: Bool[Tensor, " marks"], bins: int = BINS
) -> float:
    """By how much confidence and accuracy differ, on average: 0 is a network that is right as often as it says, 1 one that is
    sure and always wrong (or never sure of anything and always right).

    Formula: sum over equal bins ((b - 1) / B, b / B] of the confidence of |predictions in it| / n times |share that is right -
    mean confidence|. It is never below 0 and, of few predictions, above 0 by chance.

    Raises BadShape for other lengths, BadInput without predictions, without bins, or for confidences that are not 0 to 1.
    Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 2
    """
    sure, right = _checked(confidence, correct)
    if bins < 1:
        raise BadInput(f"a calibration error needs 1 bin or more; got {bins}")
    place = ((sure * bins).ceil().long() - 1).clamp(0, bins - 1)
    gaps = sure.new_zeros(bins).index_add_(0, place, right - sure)
    return float(gaps.abs().sum() / len(sure))


def _checked(confidence: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
    """Both as float64 on the CPU."""
    if len(confidence) != len(correct):
        raise BadShape(f"each confidence needs a mark; got {len(confidence)} and {len(correct)}")
    if not len(confidence):
        raise BadInput("calibration needs one prediction or more; got none")
    sure = confidence.double().cpu()
    if not ((sure >= 0) & (sure <= 1 + OVER_ONE)).all():  # also of NaN
        raise BadInput("calibration needs confidences from 0 to 1; some are outside, or NaN")
    return sure.clamp(max=1), correct.double().cpu()
