"""TRAK: which training examples an output is owed to, from projected gradients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from service.errors import BadInput, BadShape

SMALLEST_PIVOT = 1e-12  # of the largest: float32 gradients know their directions to 1e-7, and pivots are squares


@dataclass(frozen=True, eq=False)
class TrakMember:
    """What one network of an ensemble gives: projected gradients of the outputs f = log(p / (1 - p)) of the training examples
    (train, width) and of the test examples (test, width), and 1 - p of the training examples."""

    train_features: Float[Tensor, "train width"]
    test_features: Float[Tensor, "test width"]
    one_minus_p: Float[Tensor, " train"]


def trak_scores(
    train_features: Float[Tensor, "train width"],
    test_features: Float[Tensor, "test test_width"],
    one_minus_p: Float[Tensor, " train"],
    ridge: float = 0.0,
) -> Float[Tensor, "test train"]:
    """By how much each training example raised each test example's output, up to one common factor; negative: lowered it.

    Formula: tau(z)_i = phi(z)' (Phi' Phi + ridge s I)^-1 phi_i (1 - p_i), s the mean of the diagonal of Phi' Phi: one Newton
    step towards the logistic regression that lacks example i, in the features that a network's gradients are. `ridge` 0 is as
    released. Solved in float64 on the CPU. Raises BadInput for a negative ridge, or none where features are fewer than their
    dimensions or repeat each other; BadShape for features of different widths or examples.

    Source: Park et al. 2023, https://arxiv.org/abs/2303.14186, section 3
    """
    return ensemble_trak_scores([TrakMember(train_features, test_features, one_minus_p)], ridge)


def ensemble_trak_scores(
    members: Iterable[TrakMember], ridge: float = 0.0, evened: bool = False
) -> Float[Tensor, "test train"]:
    """The scores of an ensemble, of seeds or of checkpoints: kernels and doubts are averaged by themselves, as released.

    Formula: tau(z)_i = mean_m[phi_m(z)' (Phi_m' Phi_m + ridge s_m I)^-1 phi_m,i] mean_m[1 - p_m,i]. The released code divides
    each member's inverse by the mean of its absolute entries first, so that members with larger gradients weigh more; the
    paper does not, and this only if `evened`. Members are used one at a time. Raises BadInput where there are none, or what
    `trak_scores` raises.

    Source: Park et al. 2023, section 3; MadryLab/trak 0.3.2
    """
    rest = iter(members)
    first = next(rest, None)
    if first is None:
        raise BadInput("an ensemble needs one member at least")
    kernel = projected_kernel(first.train_features, first.test_features, ridge, evened)
    doubts = [first.one_minus_p.double().cpu()]
    for member in rest:
        kernel += projected_kernel(member.train_features, member.test_features, ridge, evened)
        doubts.append(member.one_minus_p.double().cpu())
    return kernel.div_(len(doubts)) * torch.stack(doubts).mean(0)


def projected_kernel(
    train_features: Float[Tensor, "train width"],
    test_features: Float[Tensor, "test test_width"],
    ridge: float = 0.0,
    evened: bool = False,
) -> Float[Tensor, "test train"]:
    """phi(z)' (Phi' Phi + ridge s I)^-1 phi_i of every test and training example; if `evened`, by an inverse whose entries have
    the mean size 1. Raises as `trak_scores`."""
    train, test = train_features.double().cpu(), test_features.double().cpu()
    if train.shape[1] != test.shape[1]:
        raise BadShape(f"features need one width; got {train.shape[1]} and {test.shape[1]}")
    factor = _factor(train, ridge)
    solved = torch.cholesky_solve(test.T, factor)
    if evened:
        solved /= torch.cholesky_inverse(factor).abs().mean()
    return solved.T @ train.T


def self_influence(
    train_features: Float[Tensor, "train width"], one_minus_p: Float[Tensor, " train"], ridge: float = 0.0
) -> Float[Tensor, " train"]:
    """Each training example's score on itself: large where the network would not have said so without it, as of a wrong label.

    Formula: phi_i' (Phi' Phi + ridge s I)^-1 phi_i (1 - p_i), the diagonal of `trak_scores`; without a ridge the first factor
    is the leverage, from 0 to 1. Raises as `trak_scores`. Source: Feldman and Zhang 2020, https://arxiv.org/abs/2008.03703
    """
    train = train_features.double().cpu()
    whitened = torch.linalg.solve_triangular(_factor(train, ridge), train.T, upper=False)
    return whitened.square().sum(0) * one_minus_p.double().cpu()


def _factor(train: Float[Tensor, "train width"], ridge: float) -> Float[Tensor, "width width"]:
    """The Cholesky factor of the regularised kernel."""
    if ridge < 0:
        raise BadInput(f"a ridge is not negative; got {ridge}")
    gram = train.T @ train
    if not torch.isfinite(gram).all():
        raise BadInput("the gradients of some training examples are not finite")
    gram.diagonal().add_(ridge * gram.diagonal().mean())
    factor, failed = torch.linalg.cholesky_ex(gram)
    pivots = factor.diagonal().square()
    if failed or not pivots.min() > SMALLEST_PIVOT * pivots.max():
        raise BadInput(
            f"{len(train)} gradients do not span their {train.shape[1]} dimensions: project to fewer than there are examples, "
            "or give a ridge"
        )
    return factor


def soft_thresholded(scores: Float[Tensor, "*shape"], threshold: float) -> Float[Tensor, "*shape"]:
    """Scores drawn towards 0 by `threshold`, and 0 where they are smaller: most examples have nothing to do with an output.

    Formula: sign(tau) max(|tau| - threshold, 0). Source: Park et al. 2023, section 3
    """
    return scores.sign() * (scores.abs() - threshold).clamp(min=0)


def threshold_keeping(scores: Float[Tensor, "test train"], share: float) -> float:
    """The threshold that leaves that share of all scores other than 0. Raises BadInput for a share outside 0 to 1."""
    if not 0 <= share <= 1:
        raise BadInput(f"a share is between 0 and 1; got {share}")
    sizes = scores.abs().flatten().sort(descending=True).values
    kept = round(share * len(sizes))
    return sizes[kept].item() if kept < len(sizes) else 0.0
