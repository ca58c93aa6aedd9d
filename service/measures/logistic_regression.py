"""Multinomial logistic regression, solved to its optimum: which layer is a state from?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.errors import BadShape

MOST_STEPS = 3000
HISTORY = 30
FIRST_STEPS = 50
CERTAIN = 0.02  # nats: a loss below it says that nearly all points are told with certainty
RIDGE = 1e-4
SMALLEST = (
    -60.0
)  # smaller logarithms of probabilities become denormal numbers, with which products take ten times as long
WIDEST = 2048  # widths up to which the problem is preconditioned


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Takes the training points' mean away from each dimension and divides by their standard deviation; a dimension that
    does not vary is not divided."""

    mean: Float[Tensor, " width"]
    scale: Float[Tensor, " width"]

    @classmethod
    def of(cls, points: Float[Tensor, "points width"]) -> Standardiser:
        """That of the points. Raises BadShape where none of their dimensions varies."""
        mean = points.mean(0, dtype=torch.float64)
        variance = (points - mean.to(points.dtype)).square_().mean(0, dtype=torch.float64)
        if not bool((variance > 0).any()):
            raise BadShape("the states are constant: a classifier needs points that differ")
        scale = torch.where(variance > 0, variance.sqrt(), torch.ones_like(variance))
        return cls(mean.to(points.dtype), scale.to(points.dtype))

    def __call__(self, points: Float[Tensor, "points width"]) -> Float[Tensor, "points width"]:
        """The points, standardised."""
        return (points - self.mean).div_(self.scale)


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """Scores ``weights @ standardised point + intercepts``, the largest of which names the class.

    `weights` is (classes, width) and belongs to the standardised points. `loss` is what was minimised: mean cross-entropy
    in nats plus the penalty. `converged` says whether the gradient fell below the tolerance.
    """

    weights: Float[Tensor, "classes width"]
    intercepts: Float[Tensor, " classes"]
    standardise: Standardiser
    loss: float
    steps: int
    converged: bool

    def scores(self, points: Float[Tensor, "points width"]) -> Float[Tensor, "points classes"]:
        """The score of every class for raw points."""
        return self.standardise(points) @ self.weights.T + self.intercepts

    def predict(self, points: Float[Tensor, "points width"]) -> Int[Tensor, " points"]:
        """The class of each raw point."""
        return self.scores(points).argmax(1)


def logistic_regression(
    points: Float[Tensor, "points width"],
    labels: Int[Tensor, " points"],
    classes: int,
    *,
    inverse_penalty: float = 1.0,
    tolerance: float = 5e-6,
    start: LinearClassifier | None = None,
) -> LinearClassifier:
    """The multinomial logistic regression of `labels` (0 to `classes` - 1) on standardised `points`, at its optimum.

    Minimises (1 / n) sum_i cross-entropy_i + |W|^2 / (2 C n) with C = `inverse_penalty`, intercepts not penalised:
    scikit-learn's objective divided by C n. The problem is convex, so nothing depends on where it starts (`start` only
    saves time). L-BFGS runs in coordinates in which the average curvature of Boehning's bound is one, until no entry of
    the gradient there is above `tolerance`.

    Raises BadShape for labels of fewer than two classes, or points that are constant.
    Source: Boehning 1992, https://doi.org/10.1007/BF00048682 (the bound); Nocedal 1980 (L-BFGS)
    """
    if len(labels.unique()) < 2:
        raise BadShape(f"a classifier needs points of two classes or more; got {len(labels.unique())}")
    standardise = Standardiser.of(points)
    inputs = standardise(points)
    problem = _Problem(inputs, labels, classes, 1.0 / (inverse_penalty * len(points)))
    begin = None
    if start is not None:
        begin = _moved(start, standardise)
    weights, intercepts, loss, steps, converged = problem.solved(tolerance, begin)
    return LinearClassifier(weights, intercepts, standardise, loss, steps, converged)


def _moved(start: LinearClassifier, standardise: Standardiser) -> tuple[Tensor, Tensor]:
    """The weights and intercepts of `start` for points that are standardised otherwise."""
    weights = start.weights * (standardise.scale / start.standardise.scale)
    shift = (standardise.mean - start.standardise.mean) / start.standardise.scale
    return weights, start.intercepts + start.weights @ shift


class _Problem:
    """The penalised cross-entropy and its gradient; coordinates V with W = factor^-T V, factor factor^T the curvature."""

    def __init__(
        self, inputs: Float[Tensor, "points width"], labels: Int[Tensor, " points"], classes: int, penalty: float
    ) -> None:
        self.inputs, self.labels, self.classes, self.penalty = inputs, labels, classes, penalty
        self.rows = torch.arange(len(labels), device=inputs.device)
        self.factor = _factor(inputs, penalty)
        self.residual = inputs.new_empty(len(inputs), classes)

    def _weights(self, free: Float[Tensor, "width classes"]) -> Float[Tensor, "width classes"]:
        if self.factor is None:
            return free
        return torch.linalg.solve_triangular(self.factor.T, free, upper=True)

    def _free(self, weights: Float[Tensor, "width classes"]) -> Float[Tensor, "width classes"]:
        return weights if self.factor is None else self.factor.T @ weights

    def _back(self, gradient: Float[Tensor, "width classes"]) -> Float[Tensor, "width classes"]:
        return gradient if self.factor is None else torch.linalg.solve_triangular(self.factor, gradient, upper=False)

    def evaluate(self, free: Float[Tensor, "rows classes"]) -> tuple[Tensor, Tensor]:
        """The loss, and its gradient, at free weights with the intercepts in the last row."""
        weights, points = self._weights(free[:-1]), len(self.inputs)
        logits = torch.addmm(free[-1], self.inputs, weights, out=self.residual)
        logits -= logits.amax(1, keepdim=True)
        own = logits[self.rows, self.labels].double().sum()
        residual = logits.clamp_(min=SMALLEST).exp_()
        total = residual.sum(1, keepdim=True)
        loss = (total.double().log().sum() - own) / points + self.penalty / 2 * weights.double().square().sum()
        residual /= total
        residual[self.rows, self.labels] -= 1
        towards_weights = torch.addmm(weights, self.inputs.T, residual, beta=self.penalty, alpha=1 / points)
        gradient = torch.cat([self._back(towards_weights), residual.mean(0, keepdim=True)])
        return loss, gradient

    def solved(
        self, tolerance: float, begin: tuple[Tensor, Tensor] | None
    ) -> tuple[Float[Tensor, "classes width"], Float[Tensor, " classes"], float, int, bool]:
        """Weights, intercepts, loss, evaluations, and whether the gradient fell below the tolerance.

        Where nearly all points are told with certainty the bound is far from the curvature: there the points are weighed by
        their doubt after the first steps.
        """
        weights = self.inputs.new_zeros(self.inputs.shape[1], self.classes)
        intercepts = self.inputs.new_zeros(self.classes)
        if begin is not None:
            weights, intercepts = begin[0].T, begin[1]
        evaluations = 0
        for most in (FIRST_STEPS, MOST_STEPS):
            weights, intercepts, used = self._descended(weights, intercepts, most, tolerance)
            evaluations += used
            loss, gradient = self.evaluate(torch.cat([self._free(weights), intercepts[None]]))
            if gradient.abs().max().item() <= tolerance:
                break
            if loss.item() < CERTAIN:
                self.factor = _factor(self.inputs, self.penalty, self._doubts(weights, intercepts))
        converged = gradient.abs().max().item() <= 2 * tolerance
        return weights.T.contiguous(), intercepts, loss.item(), evaluations, converged

    def _doubts(
        self, weights: Float[Tensor, "width classes"], intercepts: Float[Tensor, " classes"]
    ) -> Float[Tensor, " points"]:
        """1 - sum_k p_k^2 of each point: the largest curvature of its cross-entropy, but for a factor of two."""
        logits = torch.addmm(intercepts, self.inputs, weights)
        return 1 - logits.softmax(1).square_().sum(1)

    def _descended(
        self,
        weights: Float[Tensor, "width classes"],
        intercepts: Float[Tensor, " classes"],
        most: int,
        tolerance: float,
    ) -> tuple[Float[Tensor, "width classes"], Float[Tensor, " classes"], int]:
        """Where L-BFGS comes from there in at most so many steps, and how often it asked for the gradient."""
        free = torch.cat([self._free(weights), intercepts[None]]).requires_grad_(True)
        options = {"max_iter": most, "max_eval": 2 * most, "history_size": HISTORY}
        optimiser = torch.optim.LBFGS(
            [free], tolerance_grad=tolerance, tolerance_change=0.0, line_search_fn="strong_wolfe", **options
        )
        asked = 0

        @torch.no_grad()
        def closure() -> Tensor:
            nonlocal asked
            loss, free.grad = self.evaluate(free)
            asked += 1
            return loss

        optimiser.step(closure)
        found = free.detach()
        return self._weights(found[:-1]), found[-1].clone(), asked


def _factor(
    inputs: Float[Tensor, "points width"], penalty: float, doubts: Float[Tensor, " points"] | None = None
) -> Float[Tensor, "width width"] | None:
    """The Cholesky factor of the points' second moment, weighed by their doubts or by Boehning's half, plus the penalty;
    None for very wide points."""
    if inputs.shape[1] > WIDEST:
        return None
    weighed = inputs if doubts is None else inputs * doubts.sqrt()[:, None]
    moment = (weighed.T @ weighed).double() / ((2 if doubts is None else 1) * len(inputs))
    ridge = penalty + RIDGE * moment.diagonal().mean()  # float32 cannot use directions that are smaller
    moment.diagonal().add_(ridge)
    factor: Tensor = torch.linalg.cholesky(moment).to(inputs.dtype)
    return factor
