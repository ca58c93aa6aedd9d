"""The second moment of a cloud, taken apart: its eigenvalues and the directions they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.centred import centred_points
from service.measures.declaration import RESOLUTION, Cloud

FEW = 200
SETTLED = 1e-6
MOST_TURNS = 200


@dataclass(frozen=True, eq=False)
class Axes:
    """The eigenvalues of the points' centred second moment (divided by n), largest first, with their unit directions.

    Float64. `rank` is at most min(points - 1, width): directions in which the points do not differ are left out.
    """

    values: Float[Tensor, " rank"]
    directions: Float[Tensor, "width rank"]


@dataclass(frozen=True, eq=False)
class Leading:
    """The largest eigenvalue of a second moment, its unit direction, and the sum of all eigenvalues."""

    value: float
    direction: Float[Tensor, " width"]
    total: float

    @property
    def share(self) -> float:
        return min(self.value / self.total, 1.0)


def centred(cloud: Cloud) -> Float[Tensor, "points width"]:
    """The points minus their mean, in float64, taken once."""
    if "centred" not in cloud.cache:
        cloud.cache["centred"] = centred_points(cloud.points)
    return cast(Tensor, cloud.cache["centred"])


def spread_out(cloud: Cloud) -> bool:
    """Whether the points differ by more than rounding."""
    if len(cloud.points) < 2:
        return False
    size = torch.linalg.vector_norm(cloud.points, dtype=torch.float64)
    return bool(torch.linalg.vector_norm(centred(cloud)) > RESOLUTION[cloud.points.dtype] * size)


def no_spread(cloud: Cloud) -> str:
    """What to say of a cloud that has no spectrum."""
    points = len(cloud.points)
    return f"the {points} points do not differ" if points > 1 else f"needs at least 2 points; the cloud has {points}"


def axes(cloud: Cloud) -> Axes:
    """The principal axes of the points themselves (not of the streamed moments); none where the points do not
    differ."""
    if "axes" not in cloud.cache:
        differences = centred(cloud) if spread_out(cloud) else cloud.points[:0].double()
        cloud.cache["axes"] = principal_axes(differences)
    return cast(Axes, cloud.cache["axes"])


def spectrum(cloud: Cloud) -> Float[Tensor, " rank"]:
    """The eigenvalues of the centred second moment, largest first, float64: the streamed ones where the cloud has them,
    so that all tokens count, else those of the points. Empty where the points do not differ."""
    if cloud.moments is None:
        return axes(cloud).values
    values, mean = cloud.moments.spectrum.double().clamp_min(0), cloud.moments.mean.double()
    floor = max(_noise(values), RESOLUTION[torch.float32] ** 2 * (mean @ mean).item() / max(len(values), 1))
    return values[values > floor]


def tokens_behind(cloud: Cloud) -> int:
    """How many tokens the spectrum is from."""
    return len(cloud.points) if cloud.moments is None else cloud.moments.tokens


def leading(cloud: Cloud) -> Leading:
    """The longest principal axis of the points themselves. Needs points that differ."""
    if "leading" not in cloud.cache:
        cloud.cache["leading"] = leading_axis(centred(cloud))
    return cast(Leading, cloud.cache["leading"])


def leading_axis(differences: Float[Tensor, "points width"]) -> Leading:
    """The longest axis of X'X / n alone, which costs a tenth of all of them. X is taken as it is, and not all zero."""
    points, width = differences.shape
    vector = None
    if differences.device.type == "cpu" and min(points, width) >= FEW:
        vector = _lanczos(differences)
    if vector is None:
        vector = principal_axes(differences).directions[:, 0]
    value = torch.linalg.vector_norm(differences @ vector).square() / points
    return Leading(value.item(), vector, torch.linalg.vector_norm(differences).square().item() / points)


def _lanczos(differences: Float[Tensor, "points width"]) -> Float[Tensor, " width"] | None:
    """The top eigenvector of X'X by Lanczos with full reorthogonalisation, without making X'X; None where that did not
    settle. Golub and Van Loan, Matrix Computations, section 10.3.

    The products are float32, which halves their time; one product in float64 then says whether the direction is right:
    with the residual |X'Xv - lambda v| at most r lambda, the eigenvalue is off by r at most, and by r squared where it
    stands alone.
    """
    largest = torch.linalg.vector_norm(differences, ord=float("inf"))
    scaled = torch.mul(differences, 1 / largest, out=torch.empty(differences.shape))
    width = differences.shape[1]
    start = torch.randn(width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = torch.zeros(MOST_TURNS + 1, width, dtype=torch.float64)
    basis[0] = start / torch.linalg.vector_norm(start)
    diagonal, beside = torch.zeros(2, MOST_TURNS, dtype=torch.float64)
    for turn in range(MOST_TURNS):
        following = (scaled.T @ (scaled @ basis[turn].float())).double()
        diagonal[turn] = basis[turn] @ following
        known = basis[: turn + 1]
        for _ in range(2):
            following -= known.T @ (known @ following)
        beside[turn] = torch.linalg.vector_norm(following)
        if beside[turn] <= SETTLED / 10 * diagonal[0] or turn % 4 == 3:
            small = torch.diag(diagonal[: turn + 1]) + torch.diag(beside[:turn], 1) + torch.diag(beside[:turn], -1)
            values, vectors = torch.linalg.eigh(small)
            if beside[turn] * vectors[-1, -1].abs() <= SETTLED / 2 * values[-1]:
                return _verified(known.T @ vectors[:, -1], differences)
        basis[turn + 1] = following / beside[turn]
    return None


def _verified(vector: Float[Tensor, " width"], differences: Float[Tensor, "points width"]) -> Tensor | None:
    again = differences.T @ (differences @ vector)
    value = vector @ again
    return vector if torch.linalg.vector_norm(again - value * vector) <= SETTLED * value else None


def principal_axes(differences: Float[Tensor, "points width"]) -> Axes:
    """Eigenvalues and directions of X'X / n. X is taken as it is."""
    points, width = differences.shape
    if points == 0:
        return Axes(differences.new_zeros(0), differences.new_zeros(width, 0))
    values, vectors = torch.linalg.eigh(_moment(differences))
    keep = values.flip(0) > _noise(values)
    values, vectors = values.flip(0)[keep], vectors.flip(1)[:, keep]
    if points < width:
        vectors = differences.T @ vectors / (points * values).sqrt()
    return Axes(values, vectors)


def _moment(differences: Float[Tensor, "points width"]) -> Float[Tensor, "side side"]:
    """The smaller of X'X / n and XX' / n, which have the same eigenvalues."""
    points, width = differences.shape
    return (differences.T @ differences if points >= width else differences @ differences.T) / points


def _noise(values: Float[Tensor, " width"]) -> float:
    """The size below which an eigenvalue is rounding and not a direction."""
    return float(values.max()) * len(values) * torch.finfo(torch.float64).eps if len(values) else 0.0
