"""Standard errors from influences: by how much each point moves a value, added up within the text it is from."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

CLUSTERED = (
    "infinitesimal jackknife: each point's influence, added up within its text, for tokens of one text are not "
    "independent; where the value is from more tokens than the sample, the part of single tokens shrinks with their "
    "number and the part that the tokens of a text share does not"
)


def clustered(
    influence: Float[Tensor, " points"], items: Int[Tensor, " points"] | None = None, tokens: int | None = None
) -> float | None:
    """The standard error of a value whose influence function at each point is given, in the value's unit.

    Formula: Var = (own / tokens + shared) G / (G - 1), own = mean IF^2, shared = sum over pairs of different points of
    one text of IF_i IF_j / n^2, not below 0, G texts. Without `items` every point is a text of its own. `tokens` is how
    many tokens the value is from, the number of points if None. None where there are fewer than two points.
    Source: Efron and Stein 1981, https://doi.org/10.1214/aos/1176345462; Liang and Zeger 1986,
    https://doi.org/10.1093/biomet/73.1.13 (the sum within clusters).
    """
    points = len(influence)
    if points < 2:
        return None
    influence = influence.double()
    own, shared, texts = influence.square().sum().item(), 0.0, points
    if items is not None:
        _, place = torch.unique(items, return_inverse=True)
        sums = influence.new_zeros(int(place.max()) + 1).index_add_(0, place, influence)
        shared, texts = max(sums.square().sum().item() - own, 0.0), len(sums)
    widening = texts / (texts - 1) if texts > 1 else 1.0
    return math.sqrt((own / (points * (tokens or points)) + shared / points**2) * widening)
