"""What a layer of one network is worth to another: the penalty of each map at each pair of layers, both directions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from service.errors import BadInput
from service.report import curves
from service.report.asking import conditions, with_where
from service.report.heat_maps import SMALL
from service.report.panels import Connection, step_label, thinned

MOST_PAIRS = 6
MOST_LABELS = 16
MAPS = ("affine", "linear", "orthogonal", "least-squares", "identity", "procrustes")
WIDTH, HEIGHT = 5.2, 3.4  # inches of a panel
STEEP = 10  # times that the largest penalty is the smallest where the axis is logarithmic
LINEAR = 0.1  # nats a token around 0 that are linear there
QUERY = """
select model_a, step_a, revision_a, model_b, step_b, revision_b, dataset, layer_a, layer_b, map, penalty, penalty_std_error,
       converged
from lab.stitching
{where}
  and penalty is not null
order by layer_a, layer_b, map
"""
Names = Sequence[str] | None


class End(NamedTuple):
    """A checkpoint of a network."""

    model: str
    step: int
    revision: str

    @property
    def label(self) -> str:
        """The model, with its step where it is known."""
        return self.model if self.step < 0 else f"{self.model} step {step_label(self.step)}"


@dataclass(frozen=True)
class Worth:
    """What a map came to at a pair of layers."""

    layers: tuple[int, int]
    map: str
    penalty: float
    std_error: float | None
    converged: bool | None


Way = tuple[End, End]  # whose bottom, whose top
Ways = dict[Way, list[Worth]]


def stitching_figure(connection: Connection, models: Names = None, datasets: Names = None) -> Figure:
    """A row for each two networks (both among `models`, where named) at their newest checkpoints, a panel a direction: penalty
    in nats a token by pair of layers, a line a map, hollow where its training had not converged, 0 where nothing is lost.
    Raises BadInput where there is nothing to draw, or too much."""
    shown = _newest(connection, models, datasets)
    if not shown:
        among = f" for {', '.join(map(repr, [*(models or ()), *(datasets or ())]))}" if models or datasets else ""
        raise BadInput(f"there is no stitching to draw{among}: run `isoscope stitch` first")
    if len(shown) > MOST_PAIRS:
        raise BadInput(f"a figure holds {MOST_PAIRS} pairs of networks; {len(shown)} have rows: name two models")
    across = max(len(ways) for _, ways in shown)
    canvas = Figure(figsize=(WIDTH * max(across, 1.4), HEIGHT * len(shown) + 1.0), layout="constrained")
    canvas.suptitle("What is one network's layer worth to another?", fontsize=12)
    parts = canvas.subfigures(len(shown), 1, squeeze=False)[:, 0]
    for part, (dataset, ways) in zip(parts, shown, strict=True):
        _draw(part, dataset, ways)
    maps = _in_order(worth.map for _, ways in shown for found in ways.values() for worth in found)
    canvas.legend(handles=_legend(maps), loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    return canvas


def _newest(connection: Connection, models: Names, datasets: Names) -> list[tuple[str, Ways]]:
    """The dataset and the directions of the newest two checkpoints of each two networks and dataset."""
    asked = conditions({"model": models or (), "dataset": datasets or ()}, ("model_a", "model_b", "dataset"))
    groups: dict[tuple[str, ...], Ways] = {}
    for row in connection.execute(with_where(QUERY, asked)).fetchall():
        way = _end(row[:3]), _end(row[3:6])
        subject = (*sorted((way[0].model, way[1].model)), row[6])
        worth = Worth((row[7], row[8]), *row[9:])
        groups.setdefault(subject, {}).setdefault(way, []).append(worth)
    return [(subject[-1], _last(ways)) for subject, ways in sorted(groups.items())]


def _last(ways: Ways) -> Ways:
    newest = max((sorted(way, key=_age, reverse=True) for way in ways), key=lambda ends: [_age(end) for end in ends])
    return {way: found for way, found in sorted(ways.items()) if sorted(way) == sorted(newest)}


def _end(row: Sequence[Any]) -> End:
    return End(row[0], -1 if row[1] is None else row[1], row[2])


def _age(end: End) -> tuple[int, str]:
    return end.step, end.revision


def _draw(part: SubFigure, dataset: str, ways: Ways) -> None:
    part.suptitle(textwrap.fill(f"on {dataset}", 100), fontsize=SMALL + 1)
    maps = _in_order(worth.map for found in ways.values() for worth in found)
    sizes = [abs(worth.penalty) for found in ways.values() for worth in found]
    shared: Axes | None = None
    for place, ((bottom, top), found) in enumerate(ways.items()):
        axes = part.add_subplot(1, len(ways), place + 1, sharey=shared)
        shared = shared or axes
        pairs = sorted({worth.layers for worth in found})
        for turn, name in enumerate(maps):
            mine = [worth for worth in found if worth.map == name]
            _draw_map(axes, mine, pairs, name, 0.09 * (turn - (len(maps) - 1) / 2))
        axes.axhline(0, color="0.4", linestyle=curves.REFERENCE, linewidth=1)
        _label_pairs(axes, pairs)
        title = f"bottom: {bottom.label}\ntop: {top.label}"
        curves.finish(axes, "", title)
    _scale(part.axes[0], max(sizes) > STEEP * min(sizes))


def _scale(axes: Axes, steep: bool) -> None:
    if steep:
        axes.set_yscale("symlog", linthresh=LINEAR)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.margins(y=0.08)
    beyond = f"\nlogarithmic beyond ±{LINEAR}" if steep else ""
    axes.set_ylabel(f"penalty (nats a token){beyond}", fontsize=SMALL)


def _draw_map(axes: Axes, found: Sequence[Worth], pairs: Sequence[tuple[int, int]], name: str, aside: float) -> None:
    """One map's line: points a little aside of their pair of layers, so that the bars of several maps are seen."""
    if not found:
        return
    colour, marker = _look(name)
    x = [pairs.index(worth.layers) + aside for worth in found]
    y = [worth.penalty for worth in found]
    bars = [curves.ERRORS * (worth.std_error or 0.0) for worth in found]
    axes.errorbar(x, y, yerr=bars, color=colour, linewidth=1.2, elinewidth=1, capsize=2)
    faces = ["white" if worth.converged is False else colour for worth in found]
    axes.scatter(x, y, c=faces, edgecolors=colour, marker=marker, s=28, zorder=3, label=name)


def _label_pairs(axes: Axes, pairs: Sequence[tuple[int, int]]) -> None:
    places = thinned(len(pairs), MOST_LABELS)
    labels = [f"{pairs[place][0]}:{pairs[place][1]}" for place in places]
    axes.set_xticks(places, labels, rotation=90 if len(labels) > 8 else 0)
    axes.set_xlim(-0.5, len(pairs) - 0.5)
    axes.set_xlabel("last layer of the bottom : layer that the top goes on after", fontsize=SMALL)


def _in_order(names: Iterable[str]) -> list[str]:
    """Maps from the freest to the identity, then any other."""
    found = set(names)
    return [*(name for name in MAPS if name in found), *sorted(found - set(MAPS))]


def _look(name: str) -> tuple[str, str]:
    place = MAPS.index(name) if name in MAPS else len(MAPS)
    return curves.DISTINCT[place], curves.MARKERS[place]


def _legend(maps: Sequence[str]) -> list[Line2D]:
    hollow = curves.key("hollow: its training had not converged", "", "0.25", "o")
    hollow.set_markerfacecolor("white")
    bars = curves.key(f"bars: ± {curves.ERRORS} standard errors", "", "0.25", "|")
    return [*(curves.key(name, "-", *_look(name)) for name in maps), hollow, bars]
