"""Layers of one network against layers of another: heat maps, as they are and less what chance would give."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.errors import BadInput
from service.report.heat_maps import MEDIUM, SMALL
from service.report.panels import Connection, Values

MOST_MEASURES = 8
LETTERS = 32  # of a title above one map
MOST_PAIRS = 4
SUBJECTS = """
select model_a, model_b, dataset, max_by(revision_a, coalesce(step_a, -1)), max_by(revision_b, coalesce(step_b, -1)),
       any_value(without_top)
from lab.network_dissimilarity where positions = 'all' and value is not null
group by model_a, model_b, dataset order by model_a, model_b, count(*) desc, dataset
"""
VALUES = """
select measure, layer_a, layer_b, value, above_null, larger_is_more_alike, without_top, pairs, step_a, step_b
from lab.network_dissimilarity
where positions = 'all' and model_a = ? and model_b = ? and dataset = ? and revision_a = ? and revision_b = ?
  and without_top = (select min(without_top) from lab.network_dissimilarity where positions = 'all' and model_a = ?
    and model_b = ? and dataset = ? and revision_a = ? and revision_b = ?)
order by measure, layer_a, layer_b
"""


@dataclass(frozen=True, eq=False)
class Map:
    """One measure of all pairs of layers: (layers of the first, layers of the second), NaN where there is no value."""

    measure: str
    value: Values
    above_null: Values
    larger_is_more_alike: bool


@dataclass(frozen=True, eq=False)
class PairOfModels:
    """Two networks at their last checkpoints that were compared, on one dataset."""

    title: str
    first: str
    second: str
    layers_first: tuple[int, ...]
    layers_second: tuple[int, ...]
    maps: tuple[Map, ...]


def similarity_figure(
    connection: Connection, models: Sequence[str] | None = None, datasets: Sequence[str] | None = None
) -> Figure:
    """For each two networks (both among `models`, where named) two rows of heat maps, a column a measure: the value, and below
    it the value less its mean over random pairings. A dot marks the nearest layer. Raises BadInput where there is nothing."""
    shown = _pairs(connection, models, datasets)
    if not shown:
        among = f" for {', '.join(map(repr, [*(models or ()), *(datasets or ())]))}" if models or datasets else ""
        raise BadInput(f"there is no similarity to draw{among}: run `isoscope compare` first")
    if len(shown) > MOST_PAIRS:
        raise BadInput(f"a figure holds {MOST_PAIRS} pairs of networks; {len(shown)} have rows: name two models")
    across = max(len(pair.maps) for pair in shown)
    canvas = Figure(figsize=(3.6 * across + 0.4, 6.6 * len(shown)), layout="constrained")
    parts = canvas.subfigures(len(shown), 1, squeeze=False)
    for part, pair in zip(parts[:, 0], shown, strict=True):
        part.suptitle(textwrap.fill(pair.title, int(LETTERS * across)), fontsize=12)
        for column, one in enumerate(pair.maps):
            for row, values in enumerate((one.value, one.above_null)):
                axes = part.add_subplot(2, across, row * across + column + 1)
                _draw(axes, pair, one, values, chance_taken_off=row == 1)
    return canvas


def _pairs(connection: Connection, models: Sequence[str] | None, datasets: Sequence[str] | None) -> list[PairOfModels]:
    found: dict[tuple[str, str], PairOfModels] = {}
    for first, second, dataset, *revisions, _ in connection.execute(SUBJECTS).fetchall():
        named = not models or (first in models and second in models)
        if named and (not datasets or dataset in datasets) and (first, second) not in found:
            found[first, second] = _pair(connection, first, second, dataset, revisions)
    return list(found.values())


def _pair(connection: Connection, first: str, second: str, dataset: str, revisions: list[str]) -> PairOfModels:
    subject = [first, second, dataset, *revisions]
    rows = connection.execute(VALUES, [*subject, *subject]).fetchall()
    layers = [tuple(sorted({row[place] for row in rows})) for place in (1, 2)]
    measures = list(dict.fromkeys(row[0] for row in rows))[:MOST_MEASURES]
    maps = [_map(measure, [row for row in rows if row[0] == measure], *layers) for measure in measures]
    taken, pairs = rows[0][6], max(row[7] for row in rows)
    more = f", without {taken} principal components" if taken else ""
    names = [
        model if step is None else f"{model} step {step}"
        for model, step in zip((first, second), rows[0][8:], strict=True)
    ]
    title = f"{names[0]} and {names[1]} on {dataset}: {pairs:,} common places{more}"
    return PairOfModels(title, names[0], names[1], layers[0], layers[1], tuple(maps))


def _map(measure: str, rows: list[tuple[Any, ...]], first: tuple[int, ...], second: tuple[int, ...]) -> Map:
    value, above = np.full((2, len(first), len(second)), np.nan)
    for _, layer_a, layer_b, found, difference, *_ in rows:
        place = first.index(layer_a), second.index(layer_b)
        value[place] = np.nan if found is None else found
        above[place] = np.nan if difference is None else difference
    return Map(measure, value, above, bool(rows[0][5]))


def _draw(axes: Axes, pair: PairOfModels, one: Map, values: Values, chance_taken_off: bool) -> None:
    colours = matplotlib.colormaps["viridis" if one.larger_is_more_alike else "viridis_r"].with_extremes(bad="0.85")
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, origin="lower", interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, shrink=0.8).ax.tick_params(labelsize=SMALL)
    for row, line in enumerate(values if one.larger_is_more_alike else -values):
        if np.isfinite(line).any():
            axes.plot(int(np.nanargmax(line)), row, marker="o", markersize=4, color="white", markeredgecolor="black")
    axes.set_title(f"{one.measure}, less chance" if chance_taken_off else one.measure, fontsize=MEDIUM, loc="left")
    for axis, layers in ((axes.xaxis, pair.layers_second), (axes.yaxis, pair.layers_first)):
        places = range(0, len(layers), 1 + len(layers) // 9)
        axis.set_ticks(list(places), [str(layers[place]) for place in places])
    axes.set_xlabel(f"layer of {pair.second}", fontsize=SMALL)
    axes.set_ylabel(f"layer of {pair.first}", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
