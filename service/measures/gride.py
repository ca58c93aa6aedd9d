"""Gride: the intrinsic dimension as a function of the scale at which one looks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Cloud, LayerMeasure
from service.measures.gaussian_twin import gaussian_twin
from service.measures.neighbours import neighbour_distances
from service.measures.repeated import too_few
from service.results import Estimate

SCALES = (1, 2, 4, 8, 16, 32, 64)
FEWEST = 10
STEPS = 100


def gride(cloud: Cloud) -> Mapping[str, Estimate]:
    """The dimension at which the ratios mu = r_2k / r_k of neighbour distances are likeliest, for k = 1, 2, 4, ..., 64.

    Formula: the d that maximises sum_i log f(mu_i), f(mu) = d (mu^d - 1)^(k-1) / (B(k, k) mu^((2k-1) d + 1)); k = 1 is
    TwoNN by maximum likelihood. Points (points, width), repeated ones dropped and counted. Dimensions, 0 or more, by
    detail "scale-k" and, for a Gaussian cloud of the same spectrum and size, "scale-k-gaussian": noise shows as a fall
    from small to large scales; above about 15 all are too low. Undefined at scales that need more neighbours than there
    are.
    Source: Denti et al. 2022, https://doi.org/10.1038/s41598-022-20991-1
    """
    note = too_few(cloud, FEWEST)
    if note:
        return {f"scale-{scale}{of}": note for of in ("", "-gaussian") for scale in SCALES}
    return {**_by_scale(cloud, ""), **_by_scale(gaussian_twin(cloud), "-gaussian")}


def _by_scale(cloud: Cloud, suffix: str) -> dict[str, Estimate]:
    near = neighbour_distances(cloud, 2 * SCALES[-1])
    known = [scale for scale in SCALES if 2 * scale in near.ranks]
    logs = torch.stack([near.log_ratio(2 * scale, scale) for scale in known], dim=1)
    values, curvatures = likeliest(logs, torch.tensor(known, dtype=torch.float64, device=logs.device))
    found = {
        scale: Estimate(value, 1 / math.sqrt(bend), near.n_used, near.n_dropped) if math.isfinite(value) else None
        for scale, value, bend in zip(known, values.tolist(), curvatures.tolist(), strict=True)
    }
    return {
        f"scale-{scale}{suffix}": found.get(scale) or _undefined(scale, near.n_used, near.n_dropped) for scale in SCALES
    }


def likeliest(
    logs: Float[Tensor, "points scales"], scales: Float[Tensor, " scales"]
) -> tuple[Float[Tensor, " scales"], Float[Tensor, " scales"]]:
    """The likeliest dimension at each scale and the curvature of minus the log-likelihood there; `logs` of the ratios.

    The slope (n - 1) / d + (k - 1) sum l / (1 - exp(-d l)) - (2k - 1) sum l is convex and falls with d, so Newton's
    steps from below its root climb to it and never pass it.
    """
    points, total = len(logs), logs.sum(dim=0)
    dimension = scales * (points - 1) / ((2 * scales - 1) * total)
    for _ in range(STEPS):
        slope, curvature = _derivatives(dimension, logs, scales, total)
        step = slope / curvature
        dimension = dimension + step
        if not (step.abs() > 1e-12 * dimension).any():
            break
    return dimension, _derivatives(dimension, logs, scales, total)[1]


def _derivatives(
    dimension: Float[Tensor, " scales"],
    logs: Float[Tensor, "points scales"],
    scales: Float[Tensor, " scales"],
    total: Float[Tensor, " scales"],
) -> tuple[Float[Tensor, " scales"], Float[Tensor, " scales"]]:
    """The log-likelihood's first derivative by the dimension, and minus its second."""
    points = len(logs)
    below = -torch.expm1(-dimension * logs.clamp_min(1e-300))
    slope = (points - 1) / dimension + (scales - 1) * (logs / below).sum(dim=0) - (2 * scales - 1) * total
    bend = (logs.square() * (1 - below) / below.square()).sum(dim=0)
    return slope, points / dimension.square() + (scales - 1) * bend


def _undefined(scale: int, used: int, dropped: int) -> Estimate:
    if used <= 2 * scale:
        return Estimate.undefined(f"needs more than {2 * scale} distinct points; the cloud has {used}", used, dropped)
    return Estimate.undefined(f"neighbours {scale} and {2 * scale} are equally far from every point", used, dropped)


MEASURES = (
    LayerMeasure(
        "gride",
        1,
        "dimensions",
        0.0,
        None,
        "Denti et al. 2022, doi:10.1038/s41598-022-20991-1",
        frozenset({"translation", "rotation", "scaling", "permutation"}),
        "curvature of the likelihood of the ratios, as if points did not share neighbours: "
        "the spread over samples was up to 1.4 times it, and more at scale 64",
        gride,
        neighbours=2 * SCALES[-1],
    ),
)
