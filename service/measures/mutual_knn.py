"""Mutual nearest neighbours: does a point have the same neighbours in two clouds?"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.centred import centred_points
from service.measures.declaration import Cloud, PairMeasure
from service.measures.factor import ANY_ROTATION
from service.measures.relation import BLOCK_ENTRIES
from service.measures.repeated import groups
from service.results import Estimate

NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """A cloud whose neighbours are asked for: `group` says which points are equal, `distance` is each one's squared distance
    from the mean as a share of all. What was found once, among the same points or beside the same cloud, is kept."""

    points: Float[Tensor, "points width"]
    group: Int[Tensor, " points"]
    distance: Float[Tensor, " points"]
    found: dict[bytes, Int[Tensor, "kept neighbours"]] = field(default_factory=dict)
    beside: dict[Neighbourhood, Int[Tensor, " kept"]] = field(default_factory=dict)

    def among(self, kept: Int[Tensor, " kept"]) -> Int[Tensor, "kept neighbours"]:
        """Each kept point's nearest kept points, itself left out, as places in `kept`."""
        key = kept.cpu().numpy().tobytes()
        if key not in self.found:
            self.found[key] = _nearest(centred_points(self.points[kept]))
        return self.found[key]

    def once_in_both(self, other: Neighbourhood) -> Int[Tensor, " kept"]:
        """Rows of which no two are equal in either cloud.

        Of points equal in both the first row is kept, it does not matter which; of points equal in one cloud, that nearest to
        the other's mean, so that the choice does not hang on the order of the rows.
        """
        if other not in self.beside:
            rows = _first(self.group * len(self.group) + other.group)
            rows = rows[(self.distance + other.distance)[rows].sort(stable=True).indices]
            firsts = [rows[_first(one.group[rows])] for one in (self, other)]
            self.beside[other] = firsts[0][torch.isin(*firsts)].sort().values
        return self.beside[other]


def neighbourhood(cloud: Cloud) -> Neighbourhood:
    """What there is to know of a cloud before it is known with which other one it is compared."""
    squares = centred_points(cloud.points).square().sum(dim=1)
    return Neighbourhood(cloud.points, groups(Cloud(cloud.points)), squares / squares.sum())


def mutual_knn(a: Neighbourhood, b: Neighbourhood, order: Int[Tensor, " points"] | None = None) -> Estimate:
    """The share of a point's 10 nearest neighbours (Euclidean) that it has in both clouds, mean over points.

    0: none, 1: all; unrelated clouds have 10 / (points - 1). Points that repeat others in either cloud are left out: two
    embeddings of one vocabulary repeat the same tokens, whatever they are. Of different points equally far, the neighbours
    are those that the sort puts first. Undefined below 12 points that are left.
    Source: Huh et al. 2024, https://arxiv.org/abs/2405.07987, where nothing is said of repeated points
    """
    kept = a.once_in_both(b)
    points, dropped = len(kept), len(a.group) - len(kept)
    note = (
        f"{dropped} of {len(a.group)} points repeat others in one of the clouds and are left out" if dropped else None
    )
    if points < NEIGHBOURS + 2:
        lacking = f"needs at least {NEIGHBOURS + 2} points for {NEIGHBOURS} neighbours"
        return Estimate.undefined(f"{lacking}; {note}" if note else lacking, points, dropped)
    near_a, near_b = a.among(kept), b.among(kept)
    if order is not None:
        near_a = _reordered(near_a, _order_of_kept(kept, order))
    shared = (near_a[:, :, None] == near_b[:, None, :]).sum(dim=(1, 2))
    return Estimate((shared.double().mean() / NEIGHBOURS).item(), None, points, dropped, note)


def _first(labels: Int[Tensor, " points"]) -> Int[Tensor, " labels"]:
    """The place of the first point with each label."""
    values, places = labels.sort(stable=True)
    return places[torch.cat([values.new_ones(1, dtype=torch.bool), values[1:] != values[:-1]])]


def _order_of_kept(kept: Int[Tensor, " kept"], order: Int[Tensor, " points"]) -> Int[Tensor, " kept"]:
    """The order in which the kept points stand among all."""
    place = torch.full_like(order, -1)
    place[kept] = torch.arange(len(kept), device=order.device)
    return place[order][place[order] >= 0]


def _reordered(
    neighbours: Int[Tensor, "points neighbours"], order: Int[Tensor, " points"]
) -> Int[Tensor, "points neighbours"]:
    """The neighbours of the points in another order, by their places in it."""
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    return places[neighbours[order]]


def _nearest(points: Float[Tensor, "points width"]) -> Int[Tensor, "points neighbours"]:
    """The numbers of each point's nearest points, itself left out."""
    squares = points.square().sum(dim=1)
    found = []
    for own in torch.arange(len(points), device=points.device).split(max(1, BLOCK_ENTRIES // len(points))):
        distances = torch.addmm(squares, points[own], points.T, alpha=-2)
        distances.scatter_(1, own[:, None], torch.inf)
        found.append(distances.topk(NEIGHBOURS, dim=1, largest=False).indices)
    return torch.cat(found)


PAIR_MEASURES = (
    PairMeasure(
        "mutual_knn",
        2,
        "share of neighbours",
        0.0,
        1.0,
        True,
        True,
        ANY_ROTATION,
        "Huh et al. 2024, arXiv:2405.07987; Euclidean, 10 neighbours, repeated points left out",
        False,
        neighbourhood,
        mutual_knn,
    ),
)
