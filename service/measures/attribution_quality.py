"""Is an attribution right? Against networks that were trained without some examples, and against what was planted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from service.errors import BadInput, BadShape

CONFIDENCE = 0.95


@dataclass(frozen=True)
class DatamodelingScore:
    """The mean rank correlation over test examples and its bootstrap interval (None for one test example), from `tests` of
    them and so many retrained `subsets`. `dropped` test examples had outputs or scores that do not vary over subsets."""

    value: float | None
    low: float | None
    high: float | None
    tests: int
    subsets: int
    dropped: int


@dataclass(frozen=True)
class Detection:
    """How well scores find marked examples: AUROC (0.5 by chance, 1 all before the others), and the share of the marked
    ones among the first `inspected` (by chance `inspected` / all)."""

    auroc: float
    recall: float
    inspected: int


def linear_datamodeling_score(
    scores: Float[Tensor, "test train"],
    subsets: Bool[Tensor, "subsets subsets_train"],
    outputs: Float[Tensor, "outputs outputs_test"],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> DatamodelingScore:
    """Do the scores of a subset's examples, added up, say how networks trained on that subset alone rank?

    `subsets` (subsets, train) says who was trained on, `outputs` (subsets, test) what the networks then gave.

    Formula: the mean over test examples z of Spearman_S(sum of tau(z)_i over i in S, f(z; S)), over random subsets S, usually
    halves; -1 to 1, 0 by chance. f is best averaged over several trainings on the same S, whose noise otherwise bounds it. The
    interval (95 %) is a percentile bootstrap over test examples alone, and does not know the noise of subsets and trainings.

    Raises BadShape for scores, subsets and outputs of different examples, BadInput for fewer than 3 subsets or numbers
    that are not finite.
    Source: Ilyas et al. 2022, https://arxiv.org/abs/2202.00622; Park et al. 2023, https://arxiv.org/abs/2303.14186, section 2
    """
    if scores.shape != (outputs.shape[1], subsets.shape[1]) or len(subsets) != len(outputs):
        shapes = [tuple(one.shape) for one in (scores, subsets, outputs)]
        raise BadShape(f"scores, subsets and outputs need the same examples and subsets; got {shapes}")
    if len(subsets) < 3:
        raise BadInput(f"a rank correlation needs 3 subsets or more; got {len(subsets)}")
    if not (torch.isfinite(scores).all() and torch.isfinite(outputs).all()):
        raise BadInput("scores and outputs need to be finite; some are NaN or infinite")
    expected = subsets.double().cpu() @ scores.double().cpu().T
    found = rank_correlations(expected.numpy(), outputs.double().cpu().numpy())
    found = found[np.isfinite(found)]
    dropped = len(scores) - len(found)
    if not len(found):
        return DatamodelingScore(None, None, None, 0, len(subsets), dropped)
    low, high = mean_interval(found, draws, seed)
    return DatamodelingScore(float(found.mean()), low, high, len(found), len(subsets), dropped)


def rank_correlations(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's correlation of each column of `a` with that of `b`, ties by their mean rank; NaN for a constant column."""
    one, other = (rankdata(side, axis=0) - (len(side) + 1) / 2 for side in (a, b))
    lengths = np.sqrt((one**2).sum(0) * (other**2).sum(0))
    with np.errstate(invalid="ignore"):
        correlations: NDArray[np.float64] = (one * other).sum(0) / lengths
    return correlations


def mean_interval(
    values: NDArray[np.float64], draws: int = 1000, seed: int = 0
) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of a mean: percentiles over draws with replacement; None for one value."""
    if len(values) < 2:
        return None, None
    draw = np.random.default_rng(seed)
    means = [values[draw.integers(len(values), size=len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def detection(
    scores: Float[Tensor, " train"], marked: Bool[Tensor, " marks"], inspected: int | None = None
) -> Detection:
    """How well the largest scores find the marked examples: mislabelled ones by self-influence, planted ones by their
    summed scores on the tests that have the concept.

    Formula: AUROC = P(score of a marked one > of another) + P(equal) / 2; recall among the first `inspected`, as many as are
    marked if None, ties at the edge by their expected share. Raises BadShape for other lengths, BadInput where none or all are
    marked, scores are not finite, or more are to be inspected than there are.
    Source: Koh and Liang 2017, https://arxiv.org/abs/1703.04730, section 5.4; Pruthi et al. 2020, section 4.1
    """
    if len(scores) != len(marked):
        raise BadShape(f"each score needs a mark; got {len(scores)} scores and {len(marked)} marks")
    values, hits = scores.double().cpu().numpy(), marked.cpu().numpy()
    positives, count = int(hits.sum()), len(hits)
    if positives in (0, count):
        raise BadInput(f"detection needs marked examples and others; {positives} of {count} are marked")
    if not np.isfinite(values).all():
        raise BadInput("detection needs finite scores; some are NaN or infinite")
    inspected = positives if inspected is None else inspected
    if not 1 <= inspected <= count:
        raise BadInput(f"{inspected} examples cannot be inspected: there are {count}")
    above = rankdata(values)[hits].sum() - positives * (positives + 1) / 2
    return Detection(float(above / (positives * (count - positives))), _recall(values, hits, inspected), inspected)


def auroc_error(auroc: float, positives: int, negatives: int) -> float:
    """The standard error of an AUROC over so many marked and unmarked examples. Source: Hanley and McNeil 1982, https://doi.org/10.1148/radiology.143.1.7063747"""
    one, two = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    spread = auroc * (1 - auroc) + (positives - 1) * (one - auroc**2) + (negatives - 1) * (two - auroc**2)
    return float(np.sqrt(max(spread, 0.0) / (positives * negatives)))


def _recall(values: NDArray[np.float64], hits: NDArray[np.bool_], inspected: int) -> float:
    """The marked share among the first; of those equal to the last of them, as many as a random order would take."""
    edge = np.sort(values)[-inspected]
    over, equal = values > edge, values == edge
    share = (inspected - over.sum()) / equal.sum()
    return float(((hits & over).sum() + share * (hits & equal).sum()) / hits.sum())


def top(scores: Float[Tensor, "test train"], count: int) -> Int[Tensor, "test count"]:
    """The training examples with the largest scores on each test example, the largest first; equal ones in their order.

    Raises BadInput for more than there are.
    """
    if not 0 <= count <= scores.shape[1]:
        raise BadInput(f"{count} examples were asked for, and there are {scores.shape[1]}")
    return torch.argsort(scores, dim=1, descending=True, stable=True)[:, :count]


def planted_recall(scores: Float[Tensor, "test train"], planted: Bool[Tensor, " marks"], count: int) -> float:
    """The mean share of the planted examples among the first `count` of each test example's scores.

    0 to 1; by chance `count` / all. Raises as `detection`.
    """
    if scores.shape[1] != len(planted):
        raise BadShape(f"each training example needs a mark; got {scores.shape[1]} scores and {len(planted)} marks")
    return float(np.mean([detection(row, planted, count).recall for row in scores]))
