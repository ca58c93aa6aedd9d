"""Does the norm grow exponentially with depth? A rate, its error, and how well the exponential and a straight line fit."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Declared
from service.measures.layered import Layered
from service.results import Estimate

FEWEST_LAYERS = 3
SMALLEST_VARIANCE = 1e-24  # of values of size 1: below it they differ by rounding alone
JACKKNIFE = (
    "jackknife: the value without each text in turn; says how far other texts would move it, not how well it fits"
)


def norm_growth(clouds: Layered) -> Mapping[str, Estimate]:
    """How the mean norm m_l of the blocks' outputs grows with depth l = 1 ... L, by least squares over layers.

    Formulas: ``norm_growth_rate`` = r of log m_l = a + r l, in nats a layer, 0 where it does not grow;
    ``norm_growth_r_squared`` = 1 - residual / total variance of log m_l in that fit, 1 where the growth is exponential;
    ``norm_linear_r_squared`` = the same of m_l = b + s l, 1 where it is a straight line. Undefined for fewer than three
    blocks and where a mean norm is 0; both R^2 also where the norm is the same at every layer.
    Source: Quenouille 1956, https://doi.org/10.1093/biomet/43.3-4.353 (jackknife); whether norms grow so: Huang 2024,
    LessWrong.
    """
    keep = [place for place, layer in enumerate(clouds.layers) if layer > 0]
    points = clouds.states.shape[1]
    if len(keep) < FEWEST_LAYERS:
        return _undefined(f"a fit needs the outputs of {FEWEST_LAYERS} blocks or more; there are {len(keep)}", points)
    if not points:
        return _undefined("no token is left", points)
    norms = torch.stack([torch.linalg.vector_norm(clouds.states[place].double(), dim=1) for place in keep], dim=1)
    depth = torch.tensor([float(clouds.layers[place]) for place in keep], dtype=torch.float64)
    means = norms.mean(0, keepdim=True)
    if not bool((means > 0).all()):
        return _undefined(f"the mean norm of layer {clouds.layers[keep[int(means.argmin())]]} is 0", points)
    whole, parts = _fits(means, depth), _fits(_without_each_text(norms, clouds.text), depth)
    return {name: _estimate(one.item(), part, points) for name, one, part in zip(NAMES, whole, parts, strict=True)}


def _undefined(note: str, points: int) -> Mapping[str, Estimate]:
    return {name: Estimate.undefined(note, points) for name in NAMES}


def _without_each_text(norms: Float[Tensor, "points layers"], text: Tensor) -> Float[Tensor, "texts layers"]:
    """The mean norms without each text; nothing where there is one text."""
    _, place, count = torch.unique(text, return_inverse=True, return_counts=True)
    if len(count) < 2:
        return norms[:0]
    sums = norms.new_zeros(len(count), norms.shape[1]).index_add_(0, place, norms)
    return (norms.sum(0) - sums) / (len(norms) - count)[:, None]


def _fits(means: Float[Tensor, "fits layers"], depth: Float[Tensor, " layers"]) -> Float[Tensor, "three fits"]:
    """Rate, R^2 of the exponential and R^2 of the straight line of each row of mean norms; NaN where undefined."""
    rate, exponential = _line(means.log(), depth)
    _, straight = _line(means / means.mean(1, keepdim=True), depth)
    return torch.stack([rate, exponential, straight])


def _line(
    values: Float[Tensor, "fits layers"], depth: Float[Tensor, " layers"]
) -> tuple[Float[Tensor, " fits"], Float[Tensor, " fits"]]:
    """Slope and R^2 of each row's straight line; an R^2 of NaN where the values do not differ."""
    place = depth - depth.mean()
    centred = values - values.mean(1, keepdim=True)
    slope = centred @ place / place.square().sum()
    total = centred.square().sum(1)
    residual = (centred - slope[:, None] * place).square().sum(1)
    share = 1 - residual / total
    return slope, share.masked_fill(total <= SMALLEST_VARIANCE * values.shape[1], math.nan)


def _estimate(value: float, without: Float[Tensor, " texts"], points: int) -> Estimate:
    if math.isnan(value):
        return Estimate.undefined("the mean norm is the same at every layer", points)
    texts = len(without)
    around = (without - without.mean()).square().sum().item() if texts else math.nan
    return Estimate(value, math.sqrt((texts - 1) / texts * around) if texts else None, points)


def _declared(name: str, unit: str, upper: float | None = None) -> Declared:
    source = "least squares over the blocks; the question is of Huang 2024, LessWrong"
    return Declared(name, 1, "checkpoint", unit, None, upper, source, JACKKNIFE)


DECLARED = (
    _declared("norm_growth_rate", "nats per layer"),
    _declared("norm_growth_r_squared", "share of variance", 1.0),
    _declared("norm_linear_r_squared", "share of variance", 1.0),
)
NAMES = tuple(measure.name for measure in DECLARED)
