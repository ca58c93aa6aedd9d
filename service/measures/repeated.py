"""Repeated points: the same state met again, as token embeddings and a text's first token are."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.declaration import Cloud
from service.measures.spectrum import RESOLUTION, centred, spread_out
from service.results import Estimate

LOOK_BACK = 4


def distinct(cloud: Cloud) -> Int[Tensor, " kept"]:
    """The rows of the cloud, in order, with one row of every group of points that are equal up to rounding."""
    own = groups(cloud)
    return (own == torch.arange(len(own), device=own.device)).nonzero()[:, 0]


def groups(cloud: Cloud) -> Int[Tensor, " points"]:
    """For each point the row that stands for all that are equal to it up to rounding; its own where there is no other."""
    if "groups" not in cloud.cache:
        if spread_out(cloud):
            cloud.cache["groups"] = _groups(centred(cloud), RESOLUTION[cloud.points.dtype])
        else:
            cloud.cache["groups"] = torch.zeros(len(cloud.points), dtype=torch.int64, device=cloud.points.device)
    return cast(Tensor, cloud.cache["groups"])


def _groups(points: Float[Tensor, "points width"], resolution: float) -> Int[Tensor, " points"]:
    """Equal points have equal projections, so each is compared with the few before it along a fixed random line."""
    line = torch.randn(points.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    along, order = (points @ line.to(points.device)).sort(stable=True)
    reach = resolution * torch.linalg.vector_norm(points, dim=1)[order]
    stands = torch.arange(len(points), device=points.device)
    for back in range(1, min(LOOK_BACK, len(points) - 1) + 1):
        near = (along[back:] - along[:-back] <= reach[back:] * line.norm().item()).nonzero()[:, 0]
        gaps = (points[order[near + back]] - points[order[near]]).square().sum(dim=1).sqrt()
        equal = near[gaps <= reach[near + back]]
        stands[equal + back] = torch.minimum(stands[equal + back], equal)
    while not torch.equal(stands, stands[stands]):
        stands = stands[stands]
    return torch.empty_like(stands).scatter_(0, order, order[stands])


def too_few(cloud: Cloud, fewest: int) -> Estimate | None:
    """The undefined estimate of a cloud that has fewer than so many distinct points, None where there are enough."""
    points, kept = len(cloud.points), len(distinct(cloud))
    if kept >= fewest:
        return None
    note = f"needs at least {fewest} distinct points; the cloud has {kept}"
    return Estimate.undefined(
        note + (f" of {points}, the others repeat them" if kept < points else ""), kept, points - kept
    )
