"""The path of the layers: how far, and in which direction, a cloud moves from one layer to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Declared
from service.measures.layered import Layered
from service.measures.standard_error import CLUSTERED, clustered
from service.results import Estimate

STUDY = "Huang 2024, 'Exploring the Evolution and Migration of Different Layer Embedding in LLMs', LessWrong"
NO_TOKENS = "no token is left"
LAST = "there is no deeper layer"
FIRST = "there is no earlier layer"

Path = Mapping[str, Estimate]


def layer_path(clouds: Layered) -> list[Path]:
    """The path through the clouds' centroids c_k, layer by layer, by the measures' names; standard errors by the
    infinitesimal jackknife over texts.

    Formulas: ``drift_step`` = |c_{k+1} - c_k|, in the units of the network's activations, 0 or more; ``drift_angle`` =
    the angle between c_k - c_{k-1} and c_{k+1} - c_k in degrees, 0 straight on, 180 straight back; ``drift_spread`` =
    sqrt(mean_i |x_i - c_k|^2), 0 where the points are one; ``drift_step_over_spread`` = their ratio, small where a layer
    lies within the cloud before it. Undefined, with the reason, where there is no such step, spread or point.
    Source: the study draws the layers' clouds, whose centroids these are: Huang 2024, LessWrong.
    """
    points = clouds.states.shape[1]
    if not points:
        return [{name: Estimate.undefined(NO_TOKENS) for name in NAMES} for _ in clouds.layers]
    centroids = torch.stack([cloud.double().mean(0) for cloud in clouds.states])
    steps = centroids.diff(dim=0)
    gradients, values = _gradients(steps, len(centroids))
    influence = torch.zeros(points, gradients.shape[1], dtype=torch.float64, device=clouds.states.device)
    squares = []
    for cloud, centroid, gradient in zip(clouds.states, centroids, gradients, strict=True):
        centred = cloud.double() - centroid
        influence += centred @ gradient.T
        squares.append(centred.square().sum(1))
    return [_at_layer(place, values, influence, squares, clouds) for place in range(len(centroids))]


Values = dict[tuple[str, int], tuple[float, int | None]]


def _gradients(steps: Float[Tensor, "steps width"], layers: int) -> tuple[Float[Tensor, "layers any width"], Values]:
    """By how much each centroid moves each step and angle, and the values with their row of the gradients; None where
    a value has no gradient: a step of length 0, an angle of 0 or 180 degrees."""
    lengths = [length.item() for length in torch.linalg.vector_norm(steps, dim=1)]
    rows: list[dict[int, Tensor]] = []
    values: Values = {}
    for place, length in enumerate(lengths):
        values["drift_step", place] = length, len(rows) if length else None
        if length:
            ahead = steps[place] / length
            rows.append({place: -ahead, place + 1: ahead})
    for place in range(1, layers - 1):
        before, after = lengths[place - 1], lengths[place]
        if not before or not after:
            continue
        into, out = steps[place - 1] / before, steps[place] / after
        angle, slopes = _angle(into, out)
        values["drift_angle", place] = math.degrees(angle), len(rows) if slopes else None
        if slopes:
            of_into, of_out = (math.degrees(1) * slope for slope in slopes)
            rows.append(
                {
                    place - 1: -of_into / before,
                    place: of_into / before - of_out / after,
                    place + 1: of_out / after,
                }
            )
    gradients = steps.new_zeros(layers, len(rows), steps.shape[1])
    for row, parts in enumerate(rows):
        for layer, part in parts.items():
            gradients[layer, row] = part
    return gradients, values


def _angle(
    into: Float[Tensor, " width"], out: Float[Tensor, " width"]
) -> tuple[float, tuple[Float[Tensor, " width"], Float[Tensor, " width"]] | None]:
    """The angle between two unit vectors in radians, and its slopes along both; none where they lie on one line."""
    angle = 2 * math.atan2((into - out).norm().item(), (into + out).norm().item())
    sine, cosine = math.sin(angle), math.cos(angle)
    if abs(sine) < 1e-7:
        return angle, None
    return angle, ((cosine * into - out) / sine, (cosine * out - into) / sine)


def _at_layer(
    place: int, values: Values, influence: Float[Tensor, "points any"], squares: list[Tensor], clouds: Layered
) -> Path:
    points, last = len(influence), len(clouds.layers) - 1

    def estimate(value: float, moved: Tensor | None) -> Estimate:
        return Estimate(value, None if moved is None else clustered(moved, clouds.text), points)

    def undefined(note: str) -> Estimate:
        return Estimate.undefined(note, points)

    spread = math.sqrt(squares[place].mean().item())
    widened = (squares[place] - squares[place].mean()) / (2 * spread) if spread else torch.zeros_like(squares[place])
    found = {name: undefined(LAST) for name in NAMES} | {"drift_spread": estimate(spread, widened)}
    if place < last:
        step, row = values["drift_step", place]
        moved = None if row is None else influence[:, row]
        found["drift_step"] = estimate(step, moved)
        if spread:
            ratio = None if moved is None else moved / spread - step * widened / spread**2
            found["drift_step_over_spread"] = estimate(step / spread, ratio)
        else:
            found["drift_step_over_spread"] = undefined("the points of this layer do not differ")
    if place == 0:
        found["drift_angle"] = undefined(FIRST)
    elif ("drift_angle", place) in values:
        angle, row = values["drift_angle", place]
        found["drift_angle"] = estimate(angle, None if row is None else influence[:, row])
    elif place < last:
        found["drift_angle"] = undefined("a step of no length has no direction")
    return found


def _declared(name: str, unit: str, upper: float | None = None) -> Declared:
    return Declared(name, 1, "layer", unit, 0.0, upper, STUDY, CLUSTERED)


DECLARED = (
    _declared("drift_step", "activation units"),
    _declared("drift_angle", "degrees", 180.0),
    _declared("drift_spread", "activation units"),
    _declared("drift_step_over_spread", "ratio"),
)
NAMES = tuple(measure.name for measure in DECLARED)
