"""Mutual nearest neighbours: does a point have the same neighbours in two clouds?"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from service.measures.centred import centred_points
from service.measures.declaration import Cloud, PairMeasure
from service.measures.factor import ANY_ROTATION
from service.measures.relation import BLOCK_ENTRIES
from service.results import Estimate

NEIGHBOURS = 10


def neighbour_numbers(cloud: Cloud) -> Int[Tensor, "points neighbours"] | None:
    """The numbers of each point's nearest points, itself left out; None where there are too few. Of points equally far the
    ones that the sort puts first."""
    points = centred_points(cloud.points)
    if len(points) < NEIGHBOURS + 2:
        return None
    squares = points.square().sum(dim=1)
    found = []
    for own in torch.arange(len(points), device=points.device).split(max(1, BLOCK_ENTRIES // len(points))):
        distances = torch.addmm(squares, points[own], points.T, alpha=-2)
        distances.scatter_(1, own[:, None], torch.inf)
        found.append(distances.topk(NEIGHBOURS, dim=1, largest=False).indices)
    return torch.cat(found)


def mutual_knn(
    a: Int[Tensor, "points neighbours"] | None,
    b: Int[Tensor, "points neighbours"] | None,
    order: Int[Tensor, " points"] | None = None,
) -> Estimate:
    """The share of a point's 10 nearest neighbours (Euclidean) that it has in both clouds, mean over points.

    0: none, 1: all; unrelated clouds have 10 / (points - 1). Undefined below 12 points.
    Source: Huh et al. 2024, https://arxiv.org/abs/2405.07987
    """
    if a is None or b is None:
        return Estimate.undefined(f"needs at least {NEIGHBOURS + 2} points for {NEIGHBOURS} neighbours")
    if order is not None:
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order), device=order.device)
        a = places[a[order]]
    shared = (a[:, :, None] == b[:, None, :]).sum(dim=(1, 2))
    return Estimate((shared.double().mean() / NEIGHBOURS).item(), None, len(a))


PAIR_MEASURES = (
    PairMeasure(
        "mutual_knn",
        1,
        "share of neighbours",
        0.0,
        1.0,
        True,
        True,
        ANY_ROTATION,
        "Huh et al. 2024, arXiv:2405.07987; Euclidean, 10 neighbours",
        False,
        neighbour_numbers,
        mutual_knn,
    ),
)
