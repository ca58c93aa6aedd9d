"""What is measured inside a running training: cheap enough to be taken every few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from service.measures import Cloud, find
from service.measures.twonn import fitted
from service.networks.training_probe import Probe
from service.results import Estimate, ProbeResult

if TYPE_CHECKING:
    from torch import Tensor

IN_LOOP = ("twonn", "anisotropy", "norm_mean", "norm_max")
VARIANT = "corrected/all"


def probe_results(probe: Probe, step: int) -> list[ProbeResult]:
    """Every in-loop measure at each of the probe's layers; TwoNN without the Gaussian cloud, which would double the cost."""
    return [
        ProbeResult(step, layer, probe.stream(layer), name, find(name).version, VARIANT, estimate)
        for layer, points in probe.states().items()
        for name, estimate in _estimates(points).items()
    ]


def _estimates(points: Tensor) -> dict[str, Estimate]:
    whole = int(points.isfinite().all(dim=1).sum())
    if whole < len(points):
        note = f"{len(points) - whole} of {len(points)} states are NaN or infinite"
        return {name: Estimate.undefined(note, whole, len(points) - whole) for name in IN_LOOP}
    cloud = Cloud(points)
    return {name: _procedure(name)(cloud) for name in IN_LOOP}


def _procedure(name: str) -> Callable[[Cloud], Estimate]:
    if name == "twonn":
        return fitted
    return lambda cloud: find(name).corrected(cloud)[""]
