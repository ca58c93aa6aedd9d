"""Generalised shape metrics: angles between clouds that are whitened in part before one is turned onto the other."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from service.measures.canonical_correlation import ANY_LINEAR_MAP
from service.measures.factor import Cross, Factor, linear
from service.results import Estimate

SOURCE = "Williams et al. 2021, arXiv:2110.14739"


def shape_metric(cross: Cross, alpha: float) -> Estimate:
    """The angle between two clouds X (alpha I + (1 - alpha) (X'X)^(-1/2)), after the best rotation.

    Formula: arccos |A'B|_* / (|A|_F |B|_F); X centred and divided by the root mean square of its singular values, so that alpha
    means the same at any scale. In radians, 0 to pi / 2. `alpha` 1 is `procrustes_angular`, 0 whitens altogether: the angle
    of canonical correlation analysis. Undefined, below alpha 1, where a cloud has as many directions as points can have.
    Source: Williams et al. 2021, https://arxiv.org/abs/2110.14739
    """
    if alpha < 1 and (cross.a.is_full or cross.b.is_full):
        return cross.undefined(
            f"as many directions as {cross.a.points} points can have: whitened, any clouds are alike"
        )
    return cross.estimate(math.acos(cross.overlap(_whitened(cross.a, alpha), _whitened(cross.b, alpha))))


def shape_whitened(cross: Cross) -> Estimate:
    """`shape_metric` with alpha 0. Source: Williams et al. 2021, https://arxiv.org/abs/2110.14739"""
    return shape_metric(cross, 0.0)


def shape_half_whitened(cross: Cross) -> Estimate:
    """`shape_metric` with alpha 1/2. Source: Williams et al. 2021, https://arxiv.org/abs/2110.14739"""
    return shape_metric(cross, 0.5)


def _whitened(whole: Factor, alpha: float) -> Float[Tensor, " rank"]:
    """The singular values after the partial whitening."""
    size = whole.scales.square().mean().sqrt()
    return alpha * whole.scales / size + (1 - alpha)


PAIR_MEASURES = (
    linear(
        "shape_whitened",
        shape_whitened,
        SOURCE,
        unit="radians",
        upper=math.pi / 2,
        larger_is_more_alike=False,
        whitens=True,
        invariant_to=ANY_LINEAR_MAP,
    ),
    linear(
        "shape_half_whitened",
        shape_half_whitened,
        SOURCE,
        unit="radians",
        upper=math.pi / 2,
        larger_is_more_alike=False,
        whitens=True,
    ),
)
