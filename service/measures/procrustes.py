"""Orthogonal Procrustes: how far apart two clouds stay when one is turned onto the other."""

from __future__ import annotations

import math

from service.measures.factor import Cross, linear
from service.results import Estimate


def procrustes(cross: Cross) -> Estimate:
    """The squared distance that the best rotation leaves between two centred clouds of Frobenius norm 1.

    Formula: d^2 = 2 - 2 |A'B|_*, the narrower cloud padded with zeros. 0: the same up to rotation, shift and scale; 2: no
    direction in common. Source: Ding et al. 2021, https://arxiv.org/abs/2108.01661
    """
    return cross.estimate(max(0.0, 2 - 2 * cross.aligned))


def procrustes_angular(cross: Cross) -> Estimate:
    """The angle between two centred clouds when one is turned onto the other: a metric.

    Formula: arccos |A'B|_* / (|A|_F |B|_F), in radians: 0 the same, pi / 2 no direction in common. Satisfies the triangle
    inequality. Source: Williams et al. 2021, https://arxiv.org/abs/2110.14739
    """
    return cross.estimate(math.acos(cross.aligned))


PAIR_MEASURES = (
    linear(
        "procrustes",
        procrustes,
        "Ding et al. 2021, arXiv:2108.01661",
        unit="squared distance",
        upper=2.0,
        larger_is_more_alike=False,
    ),
    linear(
        "procrustes_angular",
        procrustes_angular,
        "Williams et al. 2021, arXiv:2110.14739",
        unit="radians",
        upper=math.pi / 2,
        larger_is_more_alike=False,
    ),
)
