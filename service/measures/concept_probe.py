"""Linear probes, or concept activation vectors: the direction along which a layer's states say yes or no."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from service.measures.logistic_regression import Standardiser, logistic_regression

GAUSSIAN_HALF = 0.2390  # of the dimensions make half of sum |w_j| where weights are independent Gaussian
GAUSSIAN_NINE_TENTHS = 0.6462
UNPENALISED = 100.0  # liblinear penalises the intercept as one more weight, this many times smaller
MOST_PASSES = 1000


@dataclass(frozen=True, eq=False)
class Probe:
    """The margin ``weights @ point + bias`` of raw points, above 0 for yes.

    `standardised` are the weights of the standardised points, by which dimensions of unlike size can be compared. `strength`
    is the penalty: of L2 the factor of |w|^2 / 2 beside the sum of the points' losses, of L1 a share of the smallest penalty
    that leaves no weight. `converged` says whether the optimum was reached.
    """

    weights: Float[Tensor, " width"]
    bias: float
    standardised: Float[Tensor, " width"]
    penalty: str
    strength: float
    converged: bool

    def margins(self, points: Float[Tensor, "points width"]) -> Float[Tensor, " points"]:
        """The margin of each raw point, in nats of log odds."""
        return points @ self.weights.to(points.dtype) + self.bias

    @property
    def direction(self) -> Float[Tensor, " width"]:
        """The concept activation vector: unit length, in the space of raw points; zeros where no weight is left."""
        return torch.nn.functional.normalize(self.weights, dim=0)

    @property
    def nonzero(self) -> int:
        """How many weights are not 0."""
        return int((self.standardised != 0).sum())

    def share_of_weights(self, part: float) -> float | None:
        """The smallest share of dimensions whose standardised weights make `part` of sum_j |w_j|: 1 / width where one
        weight does it, `part` where all are alike, `GAUSSIAN_HALF` and `GAUSSIAN_NINE_TENTHS` of 0.5 and 0.9 for
        independent Gaussian weights. None where no weight is left."""
        sizes = self.standardised.double().abs().sort(descending=True).values
        if not bool(sizes.any()):
            return None
        before = sizes.cumsum(0) - sizes
        return float((before < part * sizes.sum() * (1 - 1e-12)).double().mean())


def _probe(
    standardised: Float[Tensor, " width"],
    intercept: float,
    standardise: Standardiser,
    penalty: str,
    strength: float,
    converged: bool,
) -> Probe:
    """A probe of standardised points as one of raw points."""
    raw = standardised.double() / standardise.scale.double()
    bias = intercept - float(raw @ standardise.mean.double())
    return Probe(raw.to(standardised.dtype), bias, standardised, penalty, strength, converged)


def l2_probe(points: Float[Tensor, "points width"], labels: Bool[Tensor, " points"], strength: float = 1.0) -> Probe:
    """The logistic regression of `labels` on standardised `points`, at its optimum: it minimises
    sum_i log(1 + exp(-y_i m_i)) + strength |w|^2 / 2 with y = 1 for yes and -1 for no.

    Raises BadShape for labels of one class, or points that are constant.
    Source: Kim et al. 2018, Interpretability Beyond Feature Attribution (TCAV), section 3.2
    """
    # of two classes with weights v and -v, w = 2 v: the penalty is |w|^2 / 2 over both, half of a single vector's
    found = logistic_regression(points, labels.long(), 2, inverse_penalty=1 / (2 * strength))
    if not found.converged:  # a rare class: float32 cannot tell the last steps from rounding
        found = logistic_regression(points.double(), labels.long(), 2, inverse_penalty=1 / (2 * strength))
    weights = found.weights[1] - found.weights[0]
    intercept = float(found.intercepts[1] - found.intercepts[0])
    return _probe(weights, intercept, found.standardise, "l2", strength, found.converged)


def l1_path(
    points: Float[Tensor, "points width"],
    labels: Bool[Tensor, " points"],
    strengths: Sequence[float],
    largest: float | None = None,
) -> list[Probe]:
    """Logistic regressions with the penalty s L |w|_1 beside the sum of losses, for each s of `strengths` between 0 and 1.

    L is `largest`, or the smallest penalty that leaves no weight (`smallest_emptying_penalty`). By scikit-learn's liblinear,
    a coordinate descent; several times as fast as warm starts along the path with its saga.
    Raises BadShape for points that are constant.
    Source: Tibshirani 1996; Yuan, Ho and Lin 2012 (liblinear's newGLMNET)
    """
    from sklearn.linear_model import LogisticRegression

    standardise = Standardiser.of(points)
    inputs = standardise(points).double().cpu().numpy()
    whole = largest or smallest_emptying_penalty(points, labels)
    found = []
    for strength in strengths:
        model = LogisticRegression(
            l1_ratio=1,
            solver="liblinear",
            C=1 / (strength * whole),
            tol=1e-4,
            max_iter=MOST_PASSES,
            intercept_scaling=UNPENALISED,
            random_state=0,
        )
        model.fit(inputs, labels.cpu().numpy())
        weights = torch.from_numpy(model.coef_[0]).to(points.device, points.dtype)
        intercept = float(model.intercept_[0])
        found.append(_probe(weights, intercept, standardise, "l1", strength, int(model.n_iter_.max()) < MOST_PASSES))
    return found


@contextmanager
def unwarned() -> Iterator[None]:
    """Have no warning where liblinear runs out of passes, which `Probe.converged` says; around all threads that fit."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def smallest_emptying_penalty(points: Float[Tensor, "points width"], labels: Bool[Tensor, " points"]) -> float:
    """The smallest L1 penalty at which every weight is 0: max_j |sum_i x_ij (y_i - mean y)| of standardised points."""
    yes = labels.to(points.dtype)
    return float((Standardiser.of(points)(points).T @ (yes - yes.mean())).abs().max())


def cosine(first: Float[Tensor, " a"], second: Float[Tensor, " b"]) -> float | None:
    """The cosine of two probes' weights; None where they are of unlike width, or one has no weight left. Random directions of
    width d have mean 0 and standard deviation 1 / sqrt(d)."""
    if first.shape != second.shape or not bool(first.any()) or not bool(second.any()):
        return None
    return float(torch.nn.functional.cosine_similarity(first.double(), second.double(), dim=0))


def correlation(first: Float[Tensor, " points"], second: Float[Tensor, " points"]) -> float | None:
    """Pearson's correlation of two probes' margins of the same points, whatever space each lives in; None where one does not
    vary."""
    a, b = (one.double() - one.double().mean() for one in (first, second))
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size > 0 else None
