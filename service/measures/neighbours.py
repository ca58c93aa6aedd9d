"""Exact distances to the nearest neighbours, found once for a cloud and shared by every measure that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.declaration import Cloud
from service.measures.nearest import DENSE_RANKS, nearest
from service.measures.repeated import distinct
from service.measures.spectrum import centred

EQUAL = 1e-9


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
