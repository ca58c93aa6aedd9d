"""What a figure or a table of the report is made of: SQL, and how the columns of its answer are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["lines", "points", "cells", "map"]


@dataclass(frozen=True)
class Chart:
    """A figure over the public views. `query` has ``{where}`` where the filter goes; there is one figure for each value of
    the columns `one_per`, found by `subjects` (a view, or a query in brackets) in their `order`. `x`, `y`, `series` and the
    errors name columns of the answer; `low` and `high` are ends of an interval, `error` a standard error. They are drawn as
    bars, or as a `band`, no further than the two values `clipped`; with `aside` each line stands a little beside the others,
    so that all bars are seen. Of the series, `dashed` is a line to compare with and `reference` is none of the lines but a
    level, dotted and grey. `marks` is a column that is true where a point is to be seen.
    Of `cells`, `value` is the colour's column and `above_null` the same less chance, `brighter_above` is true where larger
    values are to be brighter, and there is a choice of `series`. A `map` draws the rows of network_distances.DISTANCES.
    """

    title: str
    query: str
    x: str
    y: str
    x_title: str
    y_title: str
    series: str | None = None
    one_per: tuple[str, ...] = ("model", "dataset")
    subjects: str = ""
    order: str = "all"
    kind: Kind = "lines"
    error: str | None = None
    low: str | None = None
    high: str | None = None
    marks: str | None = None
    value: str = ""
    above_null: str = ""
    brighter_above: str = ""
    level: float | None = None
    logarithmic: Literal["", "x", "y"] = ""
    band: bool = False
    clipped: tuple[float, float] | None = None
    aside: bool = False
    dashed: str = ""
    reference: str = ""

    @property
    def needed(self) -> str:
        """The column without whose values there is nothing to draw."""
        return self.value or self.y


@dataclass(frozen=True)
class Gallery:
    """Training items with their scores, one group for each value of the columns `one_per`, found by `subjects` and shown in
    their `order`. `query` has ``{where}`` where the filter goes, and answers with the columns of gallery.COLUMNS."""

    title: str
    query: str
    one_per: tuple[str, ...]
    subjects: str
    order: str = "all"
    needed: str = "train_item"


@dataclass(frozen=True)
class Section:
    """One experiment, or one side of it."""

    title: str
    lead: str
    charts: tuple[Chart, ...] = ()
    tables: tuple[Listing, ...] = ()
    galleries: tuple[Gallery, ...] = ()


@dataclass(frozen=True)
class Listing:
    """A table: a title, and the SQL of its rows with ``{where}`` for the filter, whose columns are `filters`."""

    title: str
    query: str
    filters: tuple[str, ...] = field(default=())


def by_layer(title: str, view: str, column: str, error: str | None, y_title: str, log: Literal["", "y"] = "") -> Chart:
    """A column of a view against depth, one line a step, one figure a model and dataset."""
    errors = f", {error}" if error else ""
    return Chart(
        title=title,
        query=f"select layer, stream, step, revision, {column}{errors}\nfrom lab.{view}\n{{where}}\n"
        "order by step, revision, layer",
        x="layer",
        y=column,
        x_title="layer (0 is the embedding)",
        y_title=y_title,
        series="step",
        subjects=f"lab.{view}",
        error=error,
        logarithmic=log,
    )
