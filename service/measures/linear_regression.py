"""Linear regression between two clouds: how much of one's variance the other explains."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from service.measures.factor import Cross, Factor, linear
from service.results import Estimate

SOURCE = "Kornblith et al. 2019, arXiv:1905.00414, section 5"


def linear_regression(cross: Cross) -> Estimate:
    """The share of the second cloud's variance that the best affine map of the first explains, on the points it was fitted to.

    Formula: R^2 = |U_a' Y|_F^2 / |Y|_F^2, Y the centred second cloud, U_a an orthonormal basis of the first. 0: nothing, 1:
    all; unrelated clouds have directions / (points - 1). Not symmetric. Undefined where the first cloud has as many directions
    as points can have. Source: Kornblith et al. 2019, https://arxiv.org/abs/1905.00414
    """
    return _explained(cross, cross.a, "first", cross.b, cross.matrix)


def linear_regression_reverse(cross: Cross) -> Estimate:
    """The share of the first cloud's variance that the best affine map of the second explains. As `linear_regression`.
    Source: Kornblith et al. 2019, https://arxiv.org/abs/1905.00414"""
    return _explained(cross, cross.b, "second", cross.a, cross.matrix.T)


def _explained(cross: Cross, by: Factor, name: str, of: Factor, matrix: Float[Tensor, "rank_by rank_of"]) -> Estimate:
    if by.is_full:
        return cross.undefined(
            f"the {name} cloud has as many directions as {by.points} points can have: it explains anything"
        )
    shares = of.scales.square() / of.scales.square().sum()
    return cross.estimate(min((matrix.square() @ cross.fitting(shares)).sum().item(), 1.0))


PAIR_MEASURES = tuple(
    linear(
        of_cross.__name__,
        of_cross,
        SOURCE,
        unit="share of variance",
        symmetric=False,
        invariant_to=frozenset({"translation", "rotation", "scaling", "permutation"}),
        whitens=True,
    )
    for of_cross in (linear_regression, linear_regression_reverse)
)
