"""What edits achieve and what they cost: robustness lost against success, by method and constraint, with the Pareto front."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from service.errors import BadInput
from service.report import curves
from service.report.asking import conditions, with_where
from service.report.heat_maps import SMALL
from service.report.panels import Connection, step_label

MOST_PANELS = 6
WIDTH, HEIGHT = 6.0, 4.6  # inches of a panel
METHODS = ("fine-tuning", "interpolation", "one-layer", "1-li", "low-rank", "rewriting", "rome")
FRONT = "#888888"
QUERY = """
select model, coalesce(step, -1) as step, revision, dataset, families, corruptions, judged_under, method, layer,
       limited_to, edits,
       success, success_low, success_high, robustness_change, robustness_change_low, robustness_change_high, on_front
from lab.edit_tradeoff
{where}
  and task is null and success is not null and robustness_change is not null
order by model, step, revision, dataset, families, corruptions, judged_under, method, layer, coalesce(rank, 0),
         coalesce(alpha, 0)
"""
SUBJECT = 7  # columns that say what a panel is of
Names = Sequence[str] | None
Ends = tuple[float | None, float | None]


@dataclass(frozen=True)
class Point:
    """One method under one constraint: shares of success and of accuracy lost, each with its interval where there is one."""

    method: str
    layer: str | None
    limited_to: str
    edits: int
    success: float
    of_success: Ends
    lost: float
    of_lost: Ends
    on_front: bool

    @classmethod
    def of(cls, row: Sequence[Any]) -> Point:
        """A row of the query, without its subject."""
        method, layer, limited_to, edits, success, low, high, change, change_low, change_high, on_front = row
        lost = tuple(None if end is None else -end for end in (change_high, change_low))
        return cls(method, layer, limited_to, edits, success, (low, high), -change, (lost[0], lost[1]), on_front)


def tradeoff_figure(connection: Connection, models: Names = None, datasets: Names = None) -> Figure:
    """A panel a network and dataset: accuracy lost under corruptions against success on held-out cases, means over tasks and
    seeds, a colour a method; a thin line joins the constraints of one method at one layer, a grey one is the Pareto
    front, whose points are numbered.
    Bars are 95 % intervals over edits. Raises BadInput where there is nothing to draw, or too much."""
    shown = _panels(connection, models, datasets)
    if not shown:
        among = f" for {', '.join(map(repr, [*(models or ()), *(datasets or ())]))}" if models or datasets else ""
        raise BadInput(f"there is no trade-off to draw{among}: run `isoscope study editing` first")
    if len(shown) > MOST_PANELS:
        raise BadInput(f"a figure holds {MOST_PANELS} networks; {len(shown)} have rows: name a model and a dataset")
    across = min(len(shown), 2)
    down = -(-len(shown) // across)
    canvas = Figure(figsize=(WIDTH * max(across, 1.2), HEIGHT * down + 1.2), layout="constrained")
    canvas.suptitle("What does an edit break? Robustness lost against success", fontsize=12)
    for place, (title, points) in enumerate(shown):
        _draw(canvas.add_subplot(down, across, place + 1), title, points)
    methods = [one for one in METHODS if any(point.method == one for _, points in shown for point in points)]
    canvas.legend(handles=_legend(methods), loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False)
    return canvas


def look(method: str) -> tuple[str, str]:
    """The colour and the marker of a method, the same in every figure."""
    place = METHODS.index(method) if method in METHODS else len(METHODS) - 1
    return curves.DISTINCT[place], curves.MARKERS[place]


def constrained(method: str, limited_to: str) -> str:
    """A method with its constraint, where that says more than its name."""
    return method if limited_to == method.replace("-", " ") else f"{method}, {limited_to}"


def network_label(model: str, step: int, dataset: str) -> str:
    """``digits, step 300, on digits:test``; a step below 0 is unknown."""
    return f"{model}{f', step {step_label(step)}' if step >= 0 else ''}, on {dataset}"


def _panels(connection: Connection, models: Names, datasets: Names) -> list[tuple[str, list[Point]]]:
    asked = conditions({"model": models or (), "dataset": datasets or ()}, ("model", "dataset"))
    rows = connection.execute(with_where(QUERY, asked)).fetchall()
    found = []
    for (model, step, _, dataset, families, corruptions, _), group in groupby(rows, lambda row: row[:SUBJECT]):
        points = [Point.of(row[SUBJECT:]) for row in group]
        what = f"{families} {'family' if families == 1 else 'families'}, {corruptions} corruptions"
        title = textwrap.fill(f"{network_label(model, step, dataset)} ({what})", 70)
        found.append((title, points))
    return found


def _draw(axes: Axes, title: str, points: Sequence[Point]) -> None:
    axes.axhline(0, color="0.75", linewidth=0.8, zorder=1)
    _draw_front(axes, [point for point in points if point.on_front])
    for (method, _), group in groupby(points, lambda point: (point.method, point.layer)):
        _draw_method(axes, method, list(group))
    layers = len({point.layer for point in points if point.layer is not None})
    _name_front(axes, [point for point in points if point.on_front], with_layer=layers > 1)
    axes.set_xlabel("success on held-out cases", fontsize=SMALL)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.margins(x=0.08, y=0.12)
    curves.finish(axes, "accuracy lost under corruption", title)


def _draw_method(axes: Axes, method: str, points: Sequence[Point]) -> None:
    colour, marker = look(method)
    axes.plot(
        [one.success for one in points], [one.lost for one in points], color=colour, linewidth=0.8, alpha=0.5, zorder=2
    )
    axes.errorbar(
        [one.success for one in points],
        [one.lost for one in points],
        xerr=_reach([(one.success, one.of_success) for one in points]),
        yerr=_reach([(one.lost, one.of_lost) for one in points]),
        color=colour, marker=marker, markersize=5.5, linestyle="", elinewidth=0.7, alpha=0.85, zorder=3, label=method,
    )  # fmt: skip


def _reach(values: Sequence[tuple[float, Ends]]) -> list[list[float]]:
    """How far bars reach below and above, 0 where there is no interval."""
    below = [0.0 if low is None else max(value - low, 0.0) for value, (low, _) in values]
    above = [0.0 if high is None else max(high - value, 0.0) for value, (_, high) in values]
    return [below, above]


def _draw_front(axes: Axes, front: Sequence[Point]) -> None:
    """A staircase: up to each point's success, its loss is the least there is."""
    ordered = sorted(front, key=lambda point: point.success)
    axes.plot(
        [one.success for one in ordered],
        [one.lost for one in ordered],
        color=FRONT, linewidth=3, alpha=0.45, drawstyle="steps-pre", zorder=1, label="front",
    )  # fmt: skip
    axes.scatter(
        [one.success for one in ordered], [one.lost for one in ordered], s=110, facecolors="none", edgecolors=FRONT,
        linewidths=1.2, zorder=4,
    )  # fmt: skip


def _name_front(axes: Axes, front: Sequence[Point], with_layer: bool) -> None:
    """A number beside each point of the front, by rising success, and what it is in a list below the panel."""
    entries = []
    for place, point in enumerate(sorted(front, key=lambda point: point.success), start=1):
        colour, marker = look(point.method)
        axes.annotate(
            str(place), (point.success, point.lost), xytext=(-7, 7), textcoords="offset points", ha="right",
            fontsize=SMALL, color=colour, weight="bold", zorder=5,
        )  # fmt: skip
        of_layer = f", {point.layer}" if with_layer and point.layer is not None else ""
        entries.append(
            curves.key(f"{place}  {constrained(point.method, point.limited_to)}{of_layer}", "", colour, marker)
        )
    if entries:
        axes.legend(
            handles=entries, fontsize=SMALL - 1, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False
        )


def _legend(methods: Sequence[str]) -> list[Line2D]:
    entries = [curves.key(method, "-", look(method)[0], look(method)[1], 0.8) for method in methods]
    front = curves.key("Pareto front: most success for what it costs", "-", FRONT, width=3)
    return [*entries, front, curves.key("bars: 95 % intervals over tasks and seeds", "", "0.25", "|")]
