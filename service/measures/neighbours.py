"""Exact distances to the nearest neighbours, found once for a cloud and shared by every measure that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.declaration import Cloud
from service.measures.repeated import distinct
from service.measures.spectrum import centred

DENSE_RANKS = 20
SPARE = 6
EQUAL = 1e-9
BLOCK_ENTRIES = 1 << 22
# Rounding of a squared distance by float32 matrix product, over the squared norm of the point: a few eps, times
# (1 + 2)^2 because only points of at most twice the norm can be mistaken for neighbours.
PRODUCT_ERROR = 72 * torch.finfo(torch.float32).eps


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Distances from each distinct point to its nearest neighbours of certain ranks (1 = the nearest), float64.

    `kept` are the rows of the cloud that are left once repeated points are dropped, `n_dropped` how many were.
    """

    ranks: tuple[int, ...]
    distances: Float[Tensor, "points ranks"]
    kept: Int[Tensor, " points"]
    n_dropped: int

    @property
    def n_used(self) -> int:
        return len(self.distances)

    def at(self, rank: int) -> Float[Tensor, " points"]:
        """The distance to the neighbour of that rank."""
        return self.distances[:, self.ranks.index(rank)]

    def log_ratio(self, far: int, near: int) -> Float[Tensor, " points"]:
        """log of the distance at rank `far` over that at rank `near`; 0 where they are equal up to rounding."""
        logs = (self.at(far) / self.at(near)).log()
        return torch.where(logs > EQUAL, logs, 0)

    def first(self, count: int) -> Float[Tensor, "points count"]:
        """The distances to the `count` nearest, in order; at most as many as ranks are dense."""
        return self.distances[:, :count]


def ranks_up_to(k: int) -> tuple[int, ...]:
    """The ranks that are kept: every one up to 20, then the powers of two, up to `k`."""
    powers = (1 << exponent for exponent in range(k.bit_length()))
    return tuple(sorted({*range(1, min(k, DENSE_RANKS) + 1), *(power for power in powers if power <= k)}))


def neighbour_distances(cloud: Cloud, k: int) -> Neighbours:
    """Distances to the neighbours up to rank `k`, or to all others where the cloud has no more. A search for a larger k
    that was made before is used again. Repeated points are dropped first: their zero distances say nothing of
    dimension."""
    held = cast("dict[int, Neighbours]", cloud.cache.setdefault("neighbours", {}))
    wide = [asked for asked in held if asked >= k]
    if not wide:
        kept = distinct(cloud)
        points = centred(cloud)[kept]
        ranks = ranks_up_to(max(min(k, len(points) - 1), 0))
        held[k] = Neighbours(ranks, nearest(points, ranks), kept, len(cloud.points) - len(kept))
        return held[k]
    return held[min(wide)]


def nearest(points: Float[Tensor, "points width"], ranks: tuple[int, ...]) -> Float[Tensor, "points ranks"]:
    """Exact Euclidean distances to the neighbours of those ranks; `points` float64 and centred.

    Matrix products in float32 name the candidates, block by block; the distances of the candidates that matter are then
    taken from the differences in float64. A row whose candidates float32 cannot vouch for is searched again in float64.
    """
    if not ranks:
        return points.new_zeros(len(points), 0)
    count = min(ranks[-1] + SPARE, len(points) - 1)
    unit = points.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    points = points / unit
    rough = points.float() if points.device.type == "cpu" else points
    squares = rough.square().sum(dim=1)
    rows = max(1, min(len(points), BLOCK_ENTRIES // len(points)))
    pieces = [
        _block(
            points,
            rough,
            squares,
            torch.arange(start, min(start + rows, len(points)), device=points.device),
            ranks,
            count,
        )
        for start in range(0, len(points), rows)
    ]
    return torch.cat(pieces) * unit


def _block(
    points: Float[Tensor, "points width"],
    rough: Float[Tensor, "points width"],
    squares: Float[Tensor, " points"],
    own: Int[Tensor, " rows"],
    ranks: tuple[int, ...],
    count: int,
) -> Float[Tensor, "rows ranks"]:
    """`nearest` for some of the rows."""
    values, candidates = _candidates(rough, squares, own, count)
    exact = _refined(points, own, candidates, ranks)
    if rough.dtype == torch.float32 and count < len(points) - 1:
        reach = (values[:, -1] + squares[own]).double()
        doubtful = exact[:, -1].square() > reach * (1 - PRODUCT_ERROR) - PRODUCT_ERROR * squares[own].double()
        if doubtful.any():
            again = own[doubtful]
            _, candidates = _candidates(points, points.square().sum(dim=1), again, count)
            exact[doubtful] = _refined(points, again, candidates, ranks)
    return exact


def _candidates(
    points: Float[Tensor, "points width"], squares: Float[Tensor, " points"], own: Int[Tensor, " rows"], count: int
) -> tuple[Float[Tensor, "rows count"], Int[Tensor, "rows count"]]:
    """The `count` nearest of each row by matrix product, in order, with their squared distance less the row's own
    square."""
    products = torch.addmm(squares[None, :], points[own], points.T, alpha=-2)
    products.scatter_(1, own[:, None], torch.inf)
    if products.device.type != "cpu" or count <= 8:
        return products.topk(count, dim=1, largest=False)
    picked = torch.from_numpy(np.argpartition(products.numpy(), count - 1, axis=1)[:, :count])
    values, order = products.gather(1, picked).sort(dim=1)
    return values, picked.gather(1, order)


def _refined(
    points: Float[Tensor, "points width"],
    own: Int[Tensor, " rows"],
    candidates: Int[Tensor, "rows count"],
    ranks: tuple[int, ...],
) -> Float[Tensor, "rows ranks"]:
    """Distances at the ranks, from differences. The dense ranks are put in order anew, with the spare candidates."""
    dense = min(candidates.shape[1], sum(rank <= DENSE_RANKS for rank in ranks) + SPARE)
    near = torch.stack([_distance(points, own, candidates[:, column]) for column in range(dense)], dim=1)
    near = near.sort(dim=1).values[:, : sum(rank <= DENSE_RANKS for rank in ranks)]
    far = [_distance(points, own, candidates[:, rank - 1])[:, None] for rank in ranks if rank > DENSE_RANKS]
    return torch.cat([near, *far], dim=1)


def _distance(
    points: Float[Tensor, "points width"], own: Int[Tensor, " rows"], other: Int[Tensor, " rows"]
) -> Float[Tensor, " rows"]:
    return (points[own] - points[other]).square().sum(dim=1).sqrt()
