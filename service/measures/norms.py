"""Norms: how long the hidden states are."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Cloud, LayerMeasure, Procedure
from service.measures.standard_error import CLUSTERED, clustered
from service.results import Estimate

HALVES = (
    "subsampling: half the mean squared difference between the extremes of a random half of the texts "
    "and of the rest, in closed form"
)


def norm_mean(cloud: Cloud) -> Mapping[str, Estimate]:
    """The mean Euclidean length of the points (points, width), not centred.

    Formula: mean_i |x_i|. In the units of the network's activations, 0 or more. Undefined without points.
    Source: massive activations are seen in it, Sun et al. 2024, https://arxiv.org/abs/2402.17762
    """
    lengths = _lengths(cloud)
    if not len(lengths):
        return {"": Estimate.undefined("there are no points")}
    mean = lengths.mean()
    return {"": Estimate(mean.item(), clustered(lengths - mean, cloud.items), len(lengths))}


def norm_min(cloud: Cloud) -> Mapping[str, Estimate]:
    """The length of the shortest point, min_i |x_i|, in the units of the network's activations; of the sample, so
    longer than that of all tokens. Undefined without points. Source: as `norm_mean`."""
    return _extreme(cloud, smallest=True)


def norm_max(cloud: Cloud) -> Mapping[str, Estimate]:
    """The length of the longest point, max_i |x_i|, in the units of the network's activations; of the sample, so
    shorter than that of all tokens. Undefined without points. Source: as `norm_mean`."""
    return _extreme(cloud, smallest=False)


def _lengths(cloud: Cloud) -> Float[Tensor, " points"]:
    return torch.linalg.vector_norm(cloud.points, dim=1, dtype=torch.float64)


def _extreme(cloud: Cloud, smallest: bool) -> Mapping[str, Estimate]:
    lengths = _lengths(cloud)
    if not len(lengths):
        return {"": Estimate.undefined("there are no points")}
    by_text = lengths
    if cloud.items is not None:
        _, place = torch.unique(cloud.items, return_inverse=True)
        start = lengths.new_zeros(int(place.max()) + 1)
        by_text = start.scatter_reduce_(0, place, lengths, "amin" if smallest else "amax", include_self=False)
    ordered = by_text.sort(descending=not smallest).values
    return {"": Estimate(ordered[0].item(), _between_halves(ordered), len(lengths))}


def _between_halves(ordered: Float[Tensor, " texts"]) -> float | None:
    """The root of half the mean squared difference between the extremes of two random halves: one half holds the
    extreme of all, the other begins j places after it, with chance 2^-j."""
    if len(ordered) < 2:
        return None
    behind = (ordered[1:50] - ordered[0]).square()
    chance = 0.5 ** torch.arange(1, len(behind) + 1, dtype=torch.float64, device=behind.device)
    return math.sqrt(((chance @ behind) / chance.sum() / 2).item())


def _declared(name: str, procedure: Procedure, error: str) -> LayerMeasure:
    source = "Euclidean norm; massive activations, Sun et al. 2024, arXiv:2402.17762"
    return LayerMeasure(
        name, 1, "activation units", 0.0, None, source, frozenset({"rotation", "permutation"}), error, procedure
    )


MEASURES = (
    _declared("norm_min", norm_min, HALVES),
    _declared("norm_mean", norm_mean, CLUSTERED),
    _declared("norm_max", norm_max, HALVES),
)
