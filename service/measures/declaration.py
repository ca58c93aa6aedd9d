"""What a measure is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from service.errors import BadShape
from service.measures.centred import centred_points
from service.results import Estimate, Moments

# The same token in the same place gives the same state only up to the order in which a batch was summed: differences
# below this fraction of a state's norm are rounding.
RESOLUTION = {torch.float16: 1e-4, torch.bfloat16: 1e-3, torch.float32: 1e-6, torch.float64: 1e-14}
FEWEST_PAIRS = 4


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
    subject: ClassVar[str] = "layer"


@dataclass(frozen=True)
class PairMeasure:
    """A measure of two clouds of the same points, of any two widths.

    `prepare` does what one cloud needs, once; `compare` takes two clouds so prepared and, for a null, the `order` in which
    the first one's points then stand. `of_cross`, where there is one, takes the product of the two clouds' orthonormal
    bases, which all measures of its kind share. `invariant_to` names transformations of either cloud (translation,
    rotation, scaling, invertible) or of both (permutation of the points) that leave the value as it is.
    `inflated_by_width` says that unrelated clouds seem the more alike the fewer points there are to a dimension; one that
    `whitens` takes each direction for as good as another, so that it is to be reckoned with up to the sum of both widths.
    """

    name: str
    version: int
    unit: str
    lower: float
    upper: float
    symmetric: bool
    larger_is_more_alike: bool
    invariant_to: frozenset[str]
    source: str
    inflated_by_width: bool
    prepare: Callable[[Cloud], Any]
    compare: Callable[[Any, Any, Tensor | None], Estimate]
    of_cross: Callable[[Any], Estimate] | None = None
    whitens: bool = False
    subject: ClassVar[str] = "pair"
    std_error: ClassVar[str] = "none; the null's standard deviation stands beside it"

    def of(self, a: Cloud, b: Cloud, order: Int[Tensor, " points"] | None = None) -> Estimate:
        """The value of a pair; undefined, with the reason, where a cloud has none. Raises BadShape where the clouds do not
        have the same number of points."""
        reason = refuse_or_lack(a, b)
        if reason:
            return Estimate.undefined(reason, len(a.points))
        return self.warned(self.compare(self.prepared(a), self.prepared(b), order), a, b)

    def prepared(self, cloud: Cloud) -> Any:
        """What `prepare` makes of a cloud, made once."""
        key = ("prepared", self.prepare)
        if key not in cloud.cache:
            cloud.cache[key] = self.prepare(cloud)
        return cloud.cache[key]

    def warned(self, found: Estimate, a: Cloud, b: Cloud) -> Estimate:
        """The estimate, with a note where there are too few points for the widths and that moves it."""
        widths = self.too_wide(len(a.points), a.points.shape[1], b.points.shape[1])
        if not widths or found.note:
            return found
        return replace(found, note=f"{len(a.points)} points for {widths} dimensions: unrelated clouds seem alike")

    def too_wide(self, points: int, width_a: int, width_b: int) -> str | None:
        """The widths for which there are too few points, None where there are enough or they do not move the value."""
        if not self.inflated_by_width or points > max(width_a, width_b) + self.whitens * min(width_a, width_b):
            return None
        return str(max(width_a, width_b)) if points <= max(width_a, width_b) else f"{width_a} + {width_b}"


def refuse_or_lack(a: Cloud, b: Cloud) -> str | None:
    """Why no measure of the pair is defined, None where they may be. Raises BadShape for clouds that are not paired."""
    if len(a.points) != len(b.points):
        raise BadShape(f"a pair needs the same points twice; got {len(a.points)} and {len(b.points)}")
    if len(a.points) < FEWEST_PAIRS:
        return f"needs at least {FEWEST_PAIRS} pairs; there are {len(a.points)}"
    constant = [name for name, cloud in (("first", a), ("second", b)) if not differ(cloud)]
    if constant:
        return f"the {len(a.points)} points of the {' and the '.join(constant)} cloud do not differ"
    return None


def differ(cloud: Cloud) -> bool:
    """Whether the points differ by more than rounding."""
    if "differ" not in cloud.cache:
        points = centred_points(cloud.points)
        size = torch.linalg.vector_norm(cloud.points, dtype=torch.float64)
        cloud.cache["differ"] = bool(torch.linalg.vector_norm(points) > RESOLUTION[cloud.points.dtype] * size)
    return bool(cloud.cache["differ"])


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
