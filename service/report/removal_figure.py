"""What is left of a concept in networks that were trained without its items: the removal curve."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from service.errors import BadInput
from service.report import curves
from service.report.asking import conditions, with_where
from service.report.heat_maps import SMALL
from service.report.panels import Connection

MOST_ROWS = 6
WIDTH, HEIGHT = 4.4, 3.2  # inches of a panel
ASIDE = 0.012  # of the width between lines that stand beside each other
NOTHING = "none"
WAYS = {
    "top": "those it is owed to (top)",
    "random": "as many at random",
    "bottom": "of the other end (bottom)",
    "exemplars": "exemplars of the concept",
    "class-matched": "as many of each class as the top",
}
MEASURED = {
    "accuracy": "accuracy of the best layer's probe",
    "centroid": "centroid of the concept (layer)",
    "network_accuracy": "accuracy of the networks' own task",
}
QUERY = f"""
select concept, ensemble, dataset, method, attributed_layer, concept_id, removal, removed, share_removed, chance,
       {", ".join(f"{name}, {name}_low, {name}_high" for name in MEASURED)}
from lab.concept_counterfactuals
{{where}}
  and layer is null
order by concept, ensemble, dataset, method, attributed_layer, concept_id, removed
"""
SUBJECT = 6  # columns that say what a row of panels is of
Names = Sequence[str] | None
Interval = tuple[float | None, float | None, float | None]  # a mean and both ends, None where unknown


@dataclass(frozen=True)
class Retrained:
    """What came of networks trained without some items."""

    removal: str
    share: float
    chance: float | None
    found: dict[str, Interval]


def removal_figure(connection: Connection, models: Names = None, datasets: Names = None) -> Figure:
    """A row for each concept, ensemble and attribution (ensembles among `models`, where named): against the share of the items
    taken away the probe's accuracy, the concept's centroid and the networks' accuracy, a line a way to choose the items, all
    from the networks that nothing was taken from. Bars are 95 % intervals over networks, cut where a share cannot be.
    Raises BadInput where there is nothing to draw, or too much."""
    shown = _rows(connection, models, datasets)
    if not shown:
        among = f" for {', '.join(map(repr, [*(models or ()), *(datasets or ())]))}" if models or datasets else ""
        raise BadInput(f"there is no removal to draw{among}: run `isoscope attribute` with --retrain first")
    if len(shown) > MOST_ROWS:
        raise BadInput(f"a figure holds {MOST_ROWS} concepts; {len(shown)} have rows: name an ensemble and a dataset")
    measured = [name for name in MEASURED if any(one.found[name][0] is not None for _, all_ in shown for one in all_)]
    canvas = Figure(figsize=(WIDTH * max(len(measured), 2), HEIGHT * len(shown) + 1.0), layout="constrained")
    canvas.suptitle("What is left of a concept without the training items that it is owed to?", fontsize=12)
    for part, (title, found) in zip(canvas.subfigures(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        _draw(part, title, found, measured)
    ways = [way for way in WAYS if any(one.removal == way for _, found in shown for one in found)]
    canvas.legend(handles=_legend(ways), loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    return canvas


def _rows(connection: Connection, models: Names, datasets: Names) -> list[tuple[str, list[Retrained]]]:
    asked = conditions({"model": models or (), "dataset": datasets or ()}, ("ensemble", "dataset", "probed_on"))
    rows = connection.execute(with_where(QUERY, asked)).fetchall()
    return [
        (_title(subject), list(map(_retrained, group))) for subject, group in groupby(rows, lambda row: row[:SUBJECT])
    ]


def _title(subject: Sequence[Any]) -> str:
    concept, ensemble, dataset, method, layer, _ = subject
    return textwrap.fill(f"{concept} in {ensemble} on {dataset}, attributed at layer {layer} by {method}", 110)


def _retrained(row: Sequence[Any]) -> Retrained:
    removal, _, share, chance, *found = row[SUBJECT:]
    triples = zip(found[::3], found[1::3], found[2::3], strict=True)
    return Retrained(removal, share, chance, dict(zip(MEASURED, triples, strict=True)))


def _draw(part: SubFigure, title: str, found: Sequence[Retrained], measured: Sequence[str]) -> None:
    part.suptitle(title, fontsize=SMALL + 1)
    for place, name in enumerate(measured):
        axes = part.add_subplot(1, len(measured), place + 1)
        _draw_panel(axes, found, name)
        curves.finish(axes, MEASURED[name])
        axes.set_xlabel("share of the training items taken away", fontsize=SMALL)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))


def _draw_panel(axes: Axes, found: Sequence[Retrained], name: str) -> None:
    start = [one for one in found if one.removal == NOTHING]
    ways = [way for way in WAYS if any(one.removal == way for one in found)]
    widest = max(one.share for one in found)
    for turn, way in enumerate(ways or [NOTHING]):
        mine = [*start, *(one for one in found if one.removal == way and way != NOTHING)]
        known = [one for one in mine if one.found[name][0] is not None]
        if known:
            _draw_line(axes, known, name, way, ASIDE * widest * (turn - (len(ways) - 1) / 2))
    chance = [one.chance for one in found if one.chance is not None]
    if name == "accuracy" and chance:
        axes.axhline(float(np.mean(chance)), color="0.4", linestyle=curves.REFERENCE, linewidth=1)


def _draw_line(axes: Axes, found: Sequence[Retrained], name: str, way: str, aside: float) -> None:
    values = np.array([one.found[name] for one in found], float)  # NaN where an end is unknown
    if name != "centroid":
        values = values.clip(0, 1)
    below, above = values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]
    bars = np.nan_to_num([below, above])
    colour, marker, style = _look(way)
    places = [one.share + aside for one in found]
    axes.errorbar(
        places, values[:, 0], yerr=bars, color=colour, marker=marker, markersize=4.5, linestyle=style, linewidth=1.5,
        elinewidth=0.9, capsize=2, label=way,
    )  # fmt: skip


def _look(way: str) -> tuple[str, str, Any]:
    place = list(WAYS).index(way) if way in WAYS else 0
    return curves.DISTINCT[place], curves.MARKERS[place], curves.NOT_FIRST if way == "random" else "-"


def _legend(ways: Sequence[str]) -> list[Line2D]:
    def entry(way: str) -> Line2D:
        colour, marker, style = _look(way)
        return curves.key(WAYS[way], style, colour, marker)

    bars = curves.key("bars: 95 % intervals over networks, cut at 0 and 1", "", "0.25", "|")
    return [*map(entry, ways), curves.key("chance: the commoner class", curves.REFERENCE, "0.4"), bars]
