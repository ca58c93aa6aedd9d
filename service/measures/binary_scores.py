"""How well margins tell positive points from negative ones."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class BinaryScores:
    """What margins say of labels, a margin above 0 saying yes. `accuracy`, `balanced_accuracy` (mean of both classes') and
    `chance` are shares, 0 to 1, `chance` that of always naming the commoner class; `auroc` is 0.5 where margins say nothing
    and 1 where every positive point has a larger one than every negative. The latter two are None for points of one class."""

    accuracy: float
    balanced_accuracy: float | None
    auroc: float | None
    chance: float
    positives: float
    points: int


def binary_scores(margins: Float[Tensor, " points"], labels: Bool[Tensor, " points"]) -> BinaryScores:
    """The scores of margins."""
    right = (margins > 0) == labels
    both = bool(labels.any()) and not bool(labels.all())
    share = _share(labels)
    balanced = (_share(right[labels]) + _share(right[~labels])) / 2 if both else None
    return BinaryScores(
        _share(right), balanced, auroc(margins, labels) if both else None, max(share, 1 - share), share, len(labels)
    )


def _share(which: Bool[Tensor, " points"]) -> float:
    return float(which.double().mean())


def auroc(margins: Float[Tensor, " points"], labels: Bool[Tensor, " points"]) -> float:
    """The share of pairs of a positive and a negative point in which the positive one has the larger margin, ties counting
    half: (sum of the positives' ranks - P (P + 1) / 2) / (P N).

    Source: Mann and Whitney 1947; Fawcett 2006, https://doi.org/10.1016/j.patrec.2005.10.010
    """
    _, place, counts = margins.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks = (last - (counts.double() - 1) / 2)[place]
    positives, negatives = int(labels.sum()), int((~labels).sum())
    return float((ranks[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))
