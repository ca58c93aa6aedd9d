"""The second moment of a cloud, taken apart: its eigenvalues and the directions they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Cloud

# The same token in the same place gives the same state only up to the order in which a batch was summed: differences
# below this fraction of a state's norm are rounding.
RESOLUTION = {torch.float16: 1e-4, torch.bfloat16: 1e-3, torch.float32: 1e-6, torch.float64: 1e-14}


@dataclass(frozen=True, eq=False)
class Axes:
    """The eigenvalues of the points' centred second moment (divided by n), largest first, with their unit directions.

    Float64. `rank` is at most min(points - 1, width): directions in which the points do not differ are left out.
    """

    values: Float[Tensor, " rank"]
    directions: Float[Tensor, "width rank"]


def centred(cloud: Cloud) -> Float[Tensor, "points width"]:
    """The points minus their mean, float64 on the device where they are: float32 would lose them beside a massive
    activation that all share."""
    if "centred" not in cloud.cache:
        # Minus the first point before minus the mean, so that equal points come out as exactly zero.
        points = cloud.points.double() - cloud.points[:1].double()
        cloud.cache["centred"] = points - points.mean(dim=0, keepdim=True)
    return cast(Tensor, cloud.cache["centred"])


def spread_out(cloud: Cloud) -> bool:
    """Whether the points differ by more than rounding."""
    if len(cloud.points) < 2:
        return False
    size = cloud.points.double().square().sum()
    return bool(centred(cloud).square().sum() > RESOLUTION[cloud.points.dtype] ** 2 * size)


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


def principal_axes(differences: Float[Tensor, "points width"]) -> Axes:
    """Eigenvalues and directions of X'X / n, by way of the smaller of X'X and XX'. X is taken as it is."""
    points, width = differences.shape
    if points == 0:
        return Axes(differences.new_zeros(0), differences.new_zeros(width, 0))
    if points >= width:
        values, vectors = torch.linalg.eigh(differences.T @ differences / points)
    else:
        values, vectors = torch.linalg.eigh(differences @ differences.T / points)
    keep = values.flip(0) > _noise(values)
    values, vectors = values.flip(0)[keep], vectors.flip(1)[:, keep]
    if points < width:
        vectors = differences.T @ vectors / (points * values).sqrt()
    return Axes(values, vectors)


def _noise(values: Float[Tensor, " width"]) -> float:
    """The size below which an eigenvalue is rounding and not a direction."""
    return float(values.max()) * len(values) * torch.finfo(torch.float64).eps if len(values) else 0.0
