"""The points of a cloud minus their mean."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def centred_points(points: Float[Tensor, "points width"]) -> Float[Tensor, "points width"]:
    """The points minus their mean, a new tensor of float64: float32 would lose them beside a massive activation that all
    share. Equal points come out as exactly zero, for the first is taken from all before the mean is."""
    found = points - points[:1].double()
    found -= found.mean(dim=0, keepdim=True)
    return found
