"""Relative representations: does a point stand to the same anchors in the same way in two clouds?"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.centred import centred_points
from service.measures.declaration import Cloud, PairMeasure
from service.measures.factor import ANY_ROTATION
from service.results import Estimate

MOST_ANCHORS = 256


def unit_points(cloud: Cloud) -> Float[Tensor, "points width"]:
    """The centred points at length 1; a point at the mean stays at zero."""
    points = centred_points(cloud.points)
    return torch.nn.functional.normalize(points, dim=1, eps=torch.finfo(torch.float64).tiny)


def relative_cosine(
    a: Float[Tensor, "points width_a"],
    b: Float[Tensor, "points width_b"],
    order: Int[Tensor, " points"] | None = None,
) -> Estimate:
    """The mean cosine between a point's cosines to the anchors in one cloud and in the other.

    Formula: r_i = (cos(x_i, x_k))_k over anchors k, s_i the same in the second cloud; mean_i cos(r_i, s_i) over points that are
    no anchors. Anchors are evenly spaced pairs, 256 or half of all; points are centred first, for a mean that all share would
    make every cosine 1. -1 to 1; 1: the same angles. Undefined below 4 points.
    Source: Moschella et al. 2023, https://arxiv.org/abs/2209.15430
    """
    anchors = torch.linspace(0, len(a) - 1, min(MOST_ANCHORS, len(a) // 2), device=a.device).long()
    others = torch.ones(len(a), dtype=torch.bool, device=a.device)
    others[anchors] = False
    x = a if order is None else a[order]
    cosines = torch.nn.functional.cosine_similarity(x[others] @ x[anchors].T, b[others] @ b[anchors].T, dim=1)
    return Estimate(cosines.mean().item(), None, len(a))


PAIR_MEASURES = (
    PairMeasure(
        "relative_cosine",
        1,
        "cosine",
        -1.0,
        1.0,
        True,
        True,
        ANY_ROTATION - {"permutation"},
        "Moschella et al. 2023, arXiv:2209.15430; centred, 256 anchors",
        False,
        unit_points,
        relative_cosine,
    ),
)
