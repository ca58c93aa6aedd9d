"""TwoNN: the intrinsic dimension from each point's two nearest neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Cloud, LayerMeasure
from service.measures.gaussian_twin import gaussian_twin
from service.measures.nearest import nearest
from service.measures.neighbours import neighbour_distances
from service.measures.repeated import too_few
from service.measures.spectrum import centred, spread_out
from service.results import Estimate

KEPT = 0.9
FEWEST = 10
RELEASED_SHARE = 5
RELEASED_SMALLEST = 1e-8


def twonn(cloud: Cloud) -> Mapping[str, Estimate]:
    """The dimension d for which the ratios mu = r2 / r1 of the distances to the two nearest neighbours have F = 1 -
    mu^-d.

    Formula: mu sorted, F_i = i / n, least squares of -log(1 - F) on log mu through the origin over the lowest 90 %.
    Points (points, width), repeated ones dropped and counted. Dimensions, 0 or more: 1 a curve, `width` a full cloud;
    above about 15 every estimate from 4,096 points is too low, so detail "gaussian" holds the value of a Gaussian cloud
    of the same spectrum and size. Undefined below 10 distinct points. Source: Facco et al. 2017,
    https://doi.org/10.1038/s41598-017-11873-y
    """
    note = too_few(cloud, FEWEST)
    if note:
        return {"": note, "gaussian": note}
    return {"": fitted(cloud), "gaussian": fitted(gaussian_twin(cloud))}


def twonn_as_released(cloud: Cloud) -> Mapping[str, Estimate]:
    """The fit as the authors' code makes it: over the lowest fifth of mu, repeated points left out of the fit but not
    of F.

    Formula: points centred and divided by their mean norm; u points are bad (r1 < 1e-8, or r1 = r2); of the n others
    F_i = (i + u) / (n + u), i = 1, ..., min(n // 5, n - 1). Repeated points so inflate the value: `n_dropped` says how
    many.
    Source: intrinsic_dimension in LLM_microscope.ipynb, https://github.com/AIRI-Institute/LLM-Microscope
    """
    points = centred(cloud)
    if len(points) < 3 or not spread_out(cloud):
        found = "that do not differ" if len(points) > 2 else "in all"
        return {
            "": Estimate.undefined(
                f"needs at least 3 points that differ; the cloud has {len(points)} {found}", len(points)
            )
        }
    scale = points.square().sum(dim=1).sqrt().mean()
    first, second = nearest(points / scale, (1, 2)).unbind(dim=1)
    ratios = torch.where(first < RELEASED_SMALLEST, 0, second / first)
    good = ratios[ratios > 1 + RELEASED_SMALLEST].sort().values
    bad, count = len(points) - len(good), min(len(good) // RELEASED_SHARE, len(good) - 1)
    if count < 1:
        note = f"needs at least 5 points that are not repeated; the cloud has {len(good)}"
        return {"": Estimate.undefined(note, len(good), bad)}
    value = _slope(good[:count].log(), bad, len(points))
    return {"": Estimate(value, value / math.sqrt(count), len(good), bad)}


def fitted(cloud: Cloud) -> Estimate:
    """`twonn` of the cloud alone, without the Gaussian cloud beside it. Needs at least 10 distinct points."""
    near = neighbour_distances(cloud, 2)
    logs = near.log_ratio(2, 1).sort().values
    count = int(KEPT * len(logs))
    if not logs[count - 1] > 0:
        note = "the two nearest neighbours are equally far from every point"
        return Estimate.undefined(note, near.n_used, near.n_dropped)
    value = _slope(logs[:count], 0, len(logs))
    return Estimate(value, value / math.sqrt(len(logs)), near.n_used, near.n_dropped)


def _slope(logs: Float[Tensor, " kept"], below: int, total: int) -> float:
    """The least-squares slope through the origin of -log(1 - F) on log mu, `below` points of `total` lying below the
    first."""
    places = torch.arange(1 + below, len(logs) + 1 + below, device=logs.device, dtype=torch.float64)
    heights = -torch.log1p(-places / total)
    return ((logs @ heights) / (logs @ logs)).item()


MEASURES = (
    LayerMeasure(
        "twonn",
        1,
        "dimensions",
        0.0,
        None,
        "Facco et al. 2017, doi:10.1038/s41598-017-11873-y",
        frozenset({"translation", "rotation", "scaling", "permutation"}),
        "curvature of the likelihood of the ratios, d / sqrt(points), as if points did not share neighbours: "
        "the spread over samples was up to 1.4 times it",
        twonn,
        twonn_as_released,
        neighbours=2,
    ),
)
