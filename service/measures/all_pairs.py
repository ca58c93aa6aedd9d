"""All layers of one network against all layers of another: each layer taken apart once, then small products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.declaration import Cloud, PairMeasure, refuse_or_lack
from service.measures.factor import Cross, Factor, factor
from service.measures.permutation_null import judged, orders
from service.results import Estimate, Null
from service.subjects import Permuted

Apply = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
Order = Int[Tensor, " points"]


@dataclass(frozen=True)
class Compared:
    """One measure of the layer at place `row` of the first network and `column` of the second."""

    row: int
    column: int
    measure: PairMeasure
    estimate: Estimate
    null: Null | None


def all_pairs(
    first: Sequence[Cloud],
    second: Sequence[Cloud],
    measures: Sequence[PairMeasure],
    permutations: int = 0,
    seed: int = 0,
    apply: Apply = map,
    permute: Permuted = "items",
) -> Iterator[Compared]:
    """Every measure of every pair, row by row, with the null of `permutations` random pairings, the same for all pairs:
    of whole items where the clouds say which points are of one, else of single points (`permute`).

    The values are taken in float64; the nulls of measures that need only the layers' bases in float32 (see `Cross`), from
    products that are side by side for all layers of the second network. `apply` may do several rows at a time. Raises BadShape
    for clouds that are not of the same points, BadInput for a negative number of permutations.
    """
    lacking = {(i, j): refuse_or_lack(a, b) for i, a in enumerate(first) for j, b in enumerate(second)}
    points = len(first[0].points) if first else 0
    items = first[0].items if first and permute == "items" else None
    drawn = orders(points, permutations, seed, first[0].points.device if first else None, items)
    linear = [measure for measure in measures if measure.of_cross]
    others = [measure for measure in measures if not measure.of_cross]
    if linear:
        rows = _LinearRows(first, list(apply(factor, second)), linear, drawn)
        yield from _finished(apply(rows.row, range(len(first))), first, second, lacking)
    for measure in others:
        prepared = list(apply(measure.prepare, second))
        work = partial(_other_row, first, prepared, measure, drawn)
        yield from _finished(apply(work, range(len(first))), first, second, lacking)


def _finished(
    rows: Iterable[list[Compared]],
    first: Sequence[Cloud],
    second: Sequence[Cloud],
    lacking: dict[tuple[int, int], str | None],
) -> Iterator[Compared]:
    """The results, undefined where a cloud has no value at all, and with the notes that belong to them."""
    for one in (one for row in rows for one in row):
        reason = lacking[one.row, one.column]
        a, b = first[one.row], second[one.column]
        if reason:
            yield replace(one, estimate=Estimate.undefined(reason, len(a.points)), null=None)
        else:
            yield replace(one, estimate=one.measure.warned(one.estimate, a, b))


def _other_row(
    first: Sequence[Cloud], prepared: Sequence[Any], measure: PairMeasure, drawn: Sequence[Order], row: int
) -> list[Compared]:
    own = measure.prepare(first[row])
    return [
        _compared(row, column, measure, partial(measure.compare, own, other), drawn)
        for column, other in enumerate(prepared)
    ]


def _compared(
    row: int, column: int, measure: PairMeasure, compare: Callable[[Order | None], Estimate], drawn: Sequence[Order]
) -> Compared:
    found = compare(None)
    if found.value is None:
        return Compared(row, column, measure, found, None)
    null = judged(found.value, [compare(order) for order in drawn], measure.larger_is_more_alike)
    return Compared(row, column, measure, found, null)


class _LinearRows:
    """The rows of measures that need only bases: each layer of the first network against all of the second at once."""

    def __init__(
        self, first: Sequence[Cloud], second: list[Factor], measures: list[PairMeasure], drawn: Sequence[Order]
    ) -> None:
        self.first, self.second, self.measures, self.drawn = first, second, measures, drawn
        self.stacked = torch.cat([one.basis.float() for one in second], dim=1) if second and drawn else None

    def row(self, row: int) -> list[Compared]:
        """Every measure of one layer of the first network and each of the second."""
        own = factor(self.first[row])
        found = [self._values(Cross.between(own, other)) for other in self.second]
        draws: list[list[list[Estimate]]] = [[[] for _ in self.measures] for _ in self.second]
        basis = own.basis.float()
        for order in self.drawn:
            for column, cross in enumerate(self._crosses(own, basis, order)):
                for place, estimate in enumerate(self._values(cross)):
                    draws[column][place].append(estimate)
        return [
            Compared(row, column, measure, estimate, _null(estimate, draws[column][place], measure))
            for column, values in enumerate(found)
            for place, (measure, estimate) in enumerate(zip(self.measures, values, strict=True))
        ]

    def _crosses(self, own: Factor, basis: Float[Tensor, "points rank"], order: Order) -> Iterator[Cross]:
        """One layer in a random order against every layer of the second network."""
        if self.stacked is None:
            return
        product = basis[order].T @ self.stacked
        parts = product.split([other.rank for other in self.second], dim=1)
        for other, part in zip(self.second, parts, strict=True):
            yield Cross(own, other, part, order, exact=False)

    def _values(self, cross: Cross) -> list[Estimate]:
        if not cross.a.rank or not cross.b.rank:
            return [cross.undefined("the points do not differ") for _ in self.measures]
        return [measure.of_cross(cross) for measure in self.measures if measure.of_cross]


def _null(estimate: Estimate, draws: Sequence[Estimate], measure: PairMeasure) -> Null | None:
    return None if estimate.value is None else judged(estimate.value, draws, measure.larger_is_more_alike)
