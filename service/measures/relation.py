"""How every point of a cloud stands to every other, as one matrix of norm 1; two clouds agree by their inner product."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.centred import centred_points
from service.measures.declaration import Cloud
from service.results import Estimate

BLOCK_ENTRIES = 1 << 22
ROUNDING = 32 * torch.finfo(torch.float64).eps


def squared_distances(cloud: Cloud) -> Float[Tensor, "points points"]:
    """Squared Euclidean distances, taken in float64 and kept as float32, with zeros on the diagonal."""
    points = centred_points(cloud.points)
    points /= points.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    squares = points.square().sum(dim=1)
    found = points.new_empty(len(points), len(points), dtype=torch.float32)
    for own in _rows(len(points)):
        sums = squares[own, None] + squares
        distances = torch.addmm(sums, points[own], points.T, alpha=-2)
        found[own] = distances.masked_fill_(distances <= ROUNDING * sums, 0).float()  # equal points are so exactly
    found.fill_diagonal_(0)
    return found


def of_norm_one(matrix: Float[Tensor, "points points"]) -> Float[Tensor, "points points"] | None:
    """The matrix divided, in place, by its Frobenius norm; None where that is zero."""
    norm = sum(float(matrix[own].double().square().sum()) for own in _rows(len(matrix))) ** 0.5
    return matrix.div_(norm) if norm > 0 else None


def inner(
    a: Float[Tensor, "points points"], b: Float[Tensor, "points points"], order: Int[Tensor, " points"] | None
) -> float:
    """sum_ij a_ij b_ij, the first cloud's points standing in `order`; float32 within a block of rows, float64 over them."""
    total = 0.0
    for own in _rows(len(a)):
        left = a[own] if order is None else a[order[own]][:, order]
        total += float((left * b[own]).sum(dim=1).double().sum())
    return total


def agreement(
    a: Float[Tensor, "points points"] | None,
    b: Float[Tensor, "points points"] | None,
    order: Int[Tensor, " points"] | None,
    lacking: str,
) -> Estimate:
    """The inner product of two relations of norm 1, -1 to 1; undefined where a cloud has none."""
    if a is None or b is None:
        points = len(a) if a is not None else len(b) if b is not None else 0
        return Estimate.undefined(lacking, points)
    return Estimate(max(-1.0, min(inner(a, b, order), 1.0)), None, len(a))


def _rows(points: int) -> Iterator[slice]:
    """Blocks of rows of a square matrix."""
    step = max(1, BLOCK_ENTRIES // max(points, 1))
    return (slice(start, start + step) for start in range(0, points, step))
