"""Linear centred kernel alignment: do two clouds have the same inner products between their points?"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from service.errors import BadShape
from service.measures.factor import Cross, Factor, linear
from service.results import Estimate

ROUNDING = 1e-12


def linear_cka(cross: Cross) -> Estimate:
    """The alignment of the centred Gram matrices, K = XX' and L = YY'.

    Formula: |X'Y|_F^2 / (|X'X|_F |Y'Y|_F), X and Y centred. 0: no inner product in common, 1: the same up to rotation, shift
    and scale. Goes to 1 for unrelated clouds as dimensions outnumber points. Undefined where the points of a cloud do not
    differ. Source: Kornblith et al. 2019, https://arxiv.org/abs/1905.00414
    """
    a, b = cross.a.scales.square(), cross.b.scales.square()
    a, b = a / a.norm(), b / b.norm()
    value = cross.fitting(a) @ cross.matrix.square() @ cross.fitting(b)
    return cross.estimate(min(value.item(), 1.0))


def linear_cka_debiased(cross: Cross) -> Estimate:
    """The same with the debiased HSIC: unrelated clouds have 0 on average, whatever the points and dimensions.

    Formula: H(K, L) / sqrt(H(K, K) H(L, L)), H(K, L) = tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2 1'KL1 / (n-2), diagonals of K and
    L set to 0. -1 to 1. Undefined where H(K, K) is not above 0: points all equally far from each other.
    Source: Song et al. 2012, https://jmlr.org/papers/v13/song12a.html; Kornblith et al. 2019, section 3
    """
    squares = cross.a.squares if cross.order is None else cross.a.squares[cross.order]
    joint = cross.fitting(cross.a.scales.square()) @ cross.matrix.square() @ cross.fitting(cross.b.scales.square())
    own = _self_term(cross.a), _self_term(cross.b)
    for name, term, whole in zip(("first", "second"), own, (cross.a, cross.b), strict=True):
        if term <= ROUNDING * whole.scales.pow(4).sum().item():
            return cross.undefined(
                f"the debiased self-term of the {name} cloud is not above 0: its points are equally far"
            )
    value = _hsic(joint.double(), squares, cross.b.squares) / math.sqrt(own[0] * own[1])
    return cross.estimate(max(-1.0, min(value, 1.0)))


def _hsic(joint: Float[Tensor, ""], a: Float[Tensor, " points"], b: Float[Tensor, " points"]) -> float:
    """n (n-3) times the debiased HSIC from |X'Y|_F^2 and the points' squared distances from the mean: centred Gram matrices
    have rows that sum to 0, so that without the diagonal they sum to minus it."""
    points = len(a)
    diagonal = (a @ b) * points / (points - 2)
    return (joint - diagonal + a.sum() * b.sum() / ((points - 1) * (points - 2))).item()


def _self_term(whole: Factor) -> float:
    return _hsic(whole.scales.pow(4).sum(), whole.squares, whole.squares)


def minibatch_cka(
    batches: Iterable[tuple[Float[Tensor, "batch width_a"], Float[Tensor, "batch width_b"]]],
) -> Estimate:
    """`linear_cka_debiased` from pairs of batches of points, for clouds that no memory holds.

    Formula: the three debiased HSICs are averaged over batches one by one, then divided. One batch of all points gives
    `linear_cka_debiased` itself; many give its value within their spread. Undefined without batches, or where a mean self-term
    is not above 0. Raises BadShape for a batch of fewer than 4 points. Source: Nguyen et al. 2021,
    https://arxiv.org/abs/2010.15327
    """
    sums, points, count = torch.zeros(3, dtype=torch.float64), 0, 0
    for a, b in batches:
        if len(a) != len(b) or len(a) < 4:
            raise BadShape(f"a batch needs the same 4 points or more twice; got {len(a)} and {len(b)}")
        x, y = (one.double() - one.double().mean(dim=0) for one in (a, b))
        scale = len(a) * (len(a) - 3)
        pairs = ((x, y), (x, x), (y, y))
        sums += torch.tensor([_batch_hsic(*pair) / scale for pair in pairs], dtype=torch.float64)
        points, count = points + len(a), count + 1
    if not count or not (sums[1] > 0 and sums[2] > 0):
        return Estimate.undefined("a debiased self-term is not above 0" if count else "there are no batches", points)
    return Estimate((sums[0] / (sums[1] * sums[2]).sqrt()).item(), None, points)


def _batch_hsic(x: Float[Tensor, "batch width_a"], y: Float[Tensor, "batch width_b"]) -> float:
    return _hsic((x.T @ y).square().sum(), x.square().sum(dim=1), y.square().sum(dim=1))


PAIR_MEASURES = (
    linear("linear_cka", linear_cka, "Kornblith et al. 2019, arXiv:1905.00414", unit="alignment"),
    linear(
        "linear_cka_debiased",
        linear_cka_debiased,
        "Song et al. 2012, JMLR 13; Kornblith et al. 2019, arXiv:1905.00414",
        unit="alignment",
        lower=-1.0,
        inflated_by_width=False,
    ),
)
