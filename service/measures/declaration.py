"""What a measure is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from service.errors import BadShape
from service.results import Estimate, Moments


@dataclass(frozen=True, eq=False)
class Cloud:
    """The points of one site under one position filter.

    `points` is the coordinated sample, `items` the text each point is from (for standard errors that respect texts),
    `moments` those of all tokens where they were streamed (None: take them from the points), `previous` the same tokens
    one site earlier (None at the first).
    """

    points: Float[Tensor, "points width"]
    items: Int[Tensor, " points"] | None = None
    moments: Moments | None = None
    previous: Float[Tensor, "points previous_width"] | None = None
    cache: dict[object, object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.points.ndim != 2:
            raise BadShape(f"a cloud needs a (points, width) tensor; got shape {tuple(self.points.shape)}")
        if not torch.isfinite(self.points).all():
            raise BadShape("a cloud needs finite points; got NaN or infinity")

    def where(self, keep: Bool[Tensor, " points"], moments: Moments | None) -> Cloud:
        """The same cloud with only the points that are kept, and the moments that belong to them."""
        return Cloud(
            self.points[keep],
            None if self.items is None else self.items[keep],
            moments,
            None if self.previous is None else self.previous[keep],
        )


Procedure = Callable[[Cloud], Mapping[str, Estimate]]


@dataclass(frozen=True)
class LayerMeasure:
    """A measure of one cloud.

    `corrected` maps a cloud to estimates by detail ("" for the plain value, "gaussian", "scale-8", ...); `released` is the
    published procedure as its authors run it, None where there is none. `neighbours` is how many nearest neighbours it
    asks of the cloud. `invariant_to` names transformations that leave the value as it is: translation, rotation, scaling,
    permutation. `std_error` says where the standard error comes from.
    """

    name: str
    version: int
    unit: str
    lower: float | None
    upper: float | None
    source: str
    invariant_to: frozenset[str]
    std_error: str
    corrected: Procedure
    released: Procedure | None = None
    neighbours: int = 0
    needs_previous: bool = False


@dataclass(frozen=True)
class Declared:
    """What the table of measures holds of one that takes more than a single cloud; `subject` is layer or checkpoint."""

    name: str
    version: int
    subject: str
    unit: str
    lower: float | None
    upper: float | None
    source: str
    std_error: str
