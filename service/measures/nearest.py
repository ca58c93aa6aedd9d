"""The search for nearest neighbours: products of matrices first, then differences for the few that matter."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

DENSE_RANKS = 20
SPARE = 6
BLOCK_ENTRIES = 1 << 22
REORDERED = 0.003
# Rounding of a squared distance by float32 matrix product, over the squared norm of the point: a few eps, times
# (1 + 2)^2 because only points of at most twice the norm can be mistaken for neighbours. A bound: what was seen is 100
# times less, so that a row with REORDERED of it has far ranks right to 1e-4.
PRODUCT_ERROR = 72 * torch.finfo(torch.float32).eps


def nearest(points: Float[Tensor, "points width"], ranks: tuple[int, ...]) -> Float[Tensor, "points ranks"]:
    """Euclidean distances to the neighbours of those ranks; `points` float64 and centred.

    Exact for the dense ranks; past them, a neighbour of nearly that rank stands in, at most 1e-4 of its distance away.
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
    blocks = torch.arange(len(points), device=points.device).split(rows)
    return torch.cat([_block(points, rough, squares, own, ranks, count) for own in blocks]) * unit


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
    noise = PRODUCT_ERROR * squares[own].double() * (torch.finfo(rough.dtype).eps / torch.finfo(torch.float32).eps)
    found = _refined(points, own, values.double(), candidates, noise, ranks)
    if rough.dtype == torch.float32:
        doubtful = _doubtful(values.double(), squares[own].double(), noise, found.square(), ranks, len(points))
        if doubtful.any():
            again = own[doubtful]
            values, candidates = _candidates(points, points.square().sum(dim=1), again, count)
            found[doubtful] = _refined(points, again, values, candidates, noise[doubtful], ranks)
    return found


def _doubtful(
    values: Float[Tensor, "rows count"],
    squares: Float[Tensor, " rows"],
    noise: Float[Tensor, " rows"],
    found: Float[Tensor, "rows ranks"],
    ranks: tuple[int, ...],
    points: int,
) -> Bool[Tensor, " rows"]:
    """Rows for which float32 may have overlooked a neighbour: one beyond the candidates could be nearer than the
    farthest that was found. For ranks past the dense ones, also where rounding could reorder more than the last
    digits."""
    dense = sum(rank <= DENSE_RANKS for rank in ranks)
    doubtful = torch.zeros_like(noise, dtype=torch.bool)
    for seen, farthest in {(min(dense + SPARE, values.shape[1]), dense - 1), (values.shape[1], len(ranks) - 1)}:
        reach = (values[:, seen - 1] + squares) * (1 - PRODUCT_ERROR) - noise
        if seen < points - 1:
            doubtful |= found[:, farthest] > reach
    if len(ranks) > dense:
        doubtful |= noise > REORDERED * found[:, dense]
    return doubtful


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
    values: Float[Tensor, "rows count"],
    candidates: Int[Tensor, "rows count"],
    noise: Float[Tensor, " rows"],
    ranks: tuple[int, ...],
) -> Float[Tensor, "rows ranks"]:
    """Distances at the ranks, from differences. The dense ranks are put in order anew, with those of the spare candidates
    that rounding may have put behind them."""
    dense = sum(rank <= DENSE_RANKS for rank in ranks)
    near = points.new_full((len(own), min(candidates.shape[1], dense + SPARE)), torch.inf)
    matters = values[:, : near.shape[1]] <= (values[:, dense - 1] + 2 * noise)[:, None]
    for column in range(near.shape[1]):
        rows = matters[:, column].nonzero()[:, 0]
        near[rows, column] = _distance(points, own[rows], candidates[rows, column])
    near = near.sort(dim=1).values[:, :dense]
    far = [_distance(points, own, candidates[:, rank - 1])[:, None] for rank in ranks if rank > DENSE_RANKS]
    return torch.cat([near, *far], dim=1)


def _distance(
    points: Float[Tensor, "points width"], own: Int[Tensor, " rows"], other: Int[Tensor, " rows"]
) -> Float[Tensor, " rows"]:
    return (points[own] - points[other]).square().sum(dim=1).sqrt()
