"""Anisotropy: how much of a cloud's spread lies along one line, and to which points that line is owed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from service.measures.declaration import Cloud, LayerMeasure
from service.measures.spectrum import centred, leading, leading_axis, no_spread, spectrum, spread_out, tokens_behind
from service.measures.standard_error import CLUSTERED, clustered
from service.results import Estimate

OUTLIERS = 0.01


def anisotropy(cloud: Cloud) -> Mapping[str, Estimate]:
    """The share of the largest eigenvalue of the centred second moment in the sum of all.

    Formula: lambda_1 / sum_i lambda_i, from the streamed moments of all tokens where the cloud has them. Without unit,
    in [1 / min(points - 1, width), 1]: 1 is a line, the lower end a cloud as wide in every direction. One point far
    from the others takes it towards 1; `outlier_share` says whether that is so. Undefined where the points do not
    differ.
    Source: Razzhigaev et al. 2024, section 3, https://arxiv.org/abs/2311.05928
    """
    streamed = spectrum(cloud) if cloud.moments is not None else None
    if streamed is not None and len(streamed):
        value = (streamed[0] / streamed.sum()).item()
    elif streamed is None and spread_out(cloud):
        value = leading(cloud).share
    else:
        return {"": Estimate.undefined(no_spread(cloud), len(cloud.points))}
    return {"": Estimate(value, _share_error(cloud), tokens_behind(cloud))}


def anisotropy_as_released(cloud: Cloud) -> Mapping[str, Estimate]:
    """The same share as the authors' code takes it: of the sampled points alone, centred in the dtype in which they
    come.

    Source: calculate_anisotropy_torch in LLM_microscope.ipynb, https://github.com/AIRI-Institute/LLM-Microscope
    """
    points = cloud.points
    if not spread_out(cloud):
        return {"": Estimate.undefined(no_spread(cloud), len(points))}
    top = leading_axis((points - points.mean(dim=0, keepdim=True)).double())
    return {"": Estimate(top.share, _share_error(cloud, streamed=False), len(points))}


def anisotropy_uncentred(cloud: Cloud) -> Mapping[str, Estimate]:
    """The share of the largest eigenvalue of the second moment about the origin, of the sampled points.

    Formula: lambda_1 / sum_i lambda_i of X'X / n, X (points, width) as it is. Without unit, in [1 / min(points, width),
    1]: 1 is a line through the origin; a mean far from the origin takes it there by itself. Undefined where all points
    are 0.
    Source: the centred form without its centring, Razzhigaev et al. 2024, https://arxiv.org/abs/2311.05928
    """
    points = cloud.points.double()
    size = torch.linalg.vector_norm(points, dim=1).square()
    if not size.sum() > 0:
        return {"": Estimate.undefined("all points are zero" if len(points) else "there are no points", len(points))}
    top = leading_axis(points)
    influence = ((points @ top.direction).square() - top.share * size) / size.mean()
    return {"": Estimate(top.share, clustered(influence, cloud.items), len(points))}


def outlier_share(cloud: Cloud) -> Mapping[str, Estimate]:
    """How much of the top eigenvalue is owed to the 1 % of points that are farthest along its direction.

    Formula: p_i = (u_i . v)^2, u centred (points, width), v the sample's top direction; sum of p over the ceil(n / 100)
    largest, over the sum of all. Without unit, in [ceil(n / 100) / n, 1]: 1 says that the line is a few points (a
    massive first token) and not the cloud; a Gaussian has about 0.08. Undefined where the points do not differ.
    Source: the top concentration curve (Lorenz) at 1 %, asked of massive activations, Sun et al. 2024,
    https://arxiv.org/abs/2402.17762
    """
    if not spread_out(cloud):
        return {"": Estimate.undefined(no_spread(cloud), len(cloud.points))}
    along = (centred(cloud) @ leading(cloud).direction).square()
    count = math.ceil(OUTLIERS * len(along))
    largest = along.topk(count).values
    value = (largest.sum() / along.sum()).item()
    edge = largest[-1]
    influence = ((along - edge).clamp_min(0) + edge * count / len(along) - value * along) / along.mean()
    return {"": Estimate(value, clustered(influence, cloud.items), len(along))}


def _share_error(cloud: Cloud, streamed: bool = True) -> float | None:
    """The error of the top eigenvalue's share: IF(x) = ((u . v)^2 - a |u|^2) / trace, u = x - mean, in the sample."""
    if not spread_out(cloud):
        return None
    top, points = leading(cloud), centred(cloud)
    influence = (
        (points @ top.direction).square() - top.share * torch.linalg.vector_norm(points, dim=1).square()
    ) / top.total
    return clustered(influence, cloud.items, tokens_behind(cloud) if streamed else None)


_TURNS = frozenset({"rotation", "scaling", "permutation"})
_SOURCE = "Razzhigaev et al. 2024, arXiv:2311.05928"
MEASURES = (
    LayerMeasure(
        "anisotropy",
        1,
        "share",
        0.0,
        1.0,
        _SOURCE,
        _TURNS | {"translation"},
        CLUSTERED,
        anisotropy,
        anisotropy_as_released,
    ),
    LayerMeasure("anisotropy_uncentred", 1, "share", 0.0, 1.0, _SOURCE, _TURNS, CLUSTERED, anisotropy_uncentred),
    LayerMeasure(
        "outlier_share",
        1,
        "share",
        0.0,
        1.0,
        "Sun et al. 2024, arXiv:2402.17762",
        _TURNS | {"translation"},
        CLUSTERED + "; the direction is taken as known",
        outlier_share,
    ),
)
