"""Edited networks beside the untouched one: accuracy by severity of corruptions, and which layers moved."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from service.errors import BadInput
from service.report import curves
from service.report.asking import conditions, with_where
from service.report.heat_maps import SMALL
from service.report.panels import Connection
from service.report.tradeoff_figure import constrained, look, network_label

MOST_ROWS = 5
WIDTH, HEIGHT = 5.6, 3.6  # inches of a panel
UNTOUCHED = "untouched"
MOVED_BY = {
    "procrustes_angular": "angle to the states before (radians)",
    "linear_cka_debiased": "debiased CKA (1: not moved)",
}
BEST = """
with chosen as (
  select model, step, revision, method, layer, limited_to, dataset, corruptions from lab.edit_tradeoff
{where}
  and task is null and success is not null
  qualify row_number() over (
    partition by model, step, revision, dataset, method
    order by corruptions desc, success desc, robustness_change desc, layer, limited_to
  ) = 1
), kept as (
  select c.model, coalesce(c.step, -1) as step, c.revision, c.dataset, c.method, c.limited_to, e.edit_id
  from chosen c join lab.edits e on e.model = c.model and e.revision = c.revision and e.method = c.method
    and e.layer is not distinct from c.layer and e.limited_to = c.limited_to and e.step is not distinct from c.step
    and e.origin is null
)
"""
ACCURACIES = f"""{BEST}, of_edits as (
  select k.model, k.step, k.revision, k.dataset, k.method, k.limited_to, k.edit_id, r.severity, avg(r.accuracy) as accuracy,
         avg(r.untouched_accuracy) as untouched
  from kept k join lab.edit_robustness r on r.edit_id = k.edit_id and r.dataset = k.dataset group by all
)
select model, step, revision, dataset, method, limited_to, severity, avg(accuracy),
       stddev_samp(accuracy) / sqrt(count(*)), avg(untouched)
from of_edits group by all order by all
"""
MOVES = f"""{BEST}
select k.model, k.step, k.revision, k.dataset, k.method, k.limited_to, d.measure, d.layer, avg(d.compared),
       stddev_samp(d.compared) / sqrt(count(*))
from kept k join lab.edit_drift d on d.edit_id = k.edit_id
where d.compared is not null and d.measure in ('procrustes_angular', 'linear_cka_debiased')
group by all order by all
"""
SUBJECT = 4  # columns that say what a row of panels is of
Names = Sequence[str] | None


@dataclass(frozen=True)
class Line:
    """Values of one method, under the constraint that succeeds most, with standard errors over edits."""

    method: str
    limited_to: str
    places: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[float | None, ...]

    @property
    def label(self) -> str:
        """Method and constraint."""
        return constrained(self.method, self.limited_to)


def edits_figure(connection: Connection, models: Names = None, datasets: Names = None) -> Figure:
    """A row a network and dataset: accuracy by severity, the mean over families of corruptions, of the untouched network and
    of each method under the constraint that succeeds most; beside it how far each layer's states moved. Means over tasks and
    seeds, bars of two standard errors. Raises BadInput where there is nothing to draw, or too much."""
    asked = conditions({"model": models or (), "dataset": datasets or ()}, ("model", "dataset"))
    accuracies = _grouped(connection.execute(with_where(ACCURACIES, asked)).fetchall())
    moves = _grouped(connection.execute(with_where(MOVES, asked)).fetchall())
    if not accuracies:
        among = f" for {', '.join(map(repr, [*(models or ()), *(datasets or ())]))}" if models or datasets else ""
        raise BadInput(f"there are no edits to draw{among}: run `isoscope edit` or `isoscope study editing` first")
    if len(accuracies) > MOST_ROWS:
        raise BadInput(f"a figure holds {MOST_ROWS} networks; {len(accuracies)} have rows: name a model and a dataset")
    canvas = Figure(figsize=(2 * WIDTH, HEIGHT * len(accuracies) + 0.9), layout="constrained")
    canvas.suptitle("What do edits break, and which layers do they move?", fontsize=12)
    for part, (subject, rows) in zip(
        canvas.subfigures(len(accuracies), 1, squeeze=False)[:, 0], accuracies.items(), strict=True
    ):
        model, step, _, dataset = subject
        part.suptitle(textwrap.fill(network_label(model, step, dataset), 110), fontsize=SMALL + 1)
        left, right = part.subplots(1, 2)
        _draw_accuracy(left, rows)
        _draw_moves(right, moves.get(subject, []))
    canvas.legend(handles=_legend(), loc="outside lower center", ncols=2, fontsize=SMALL, frameon=False)
    return canvas


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], list[tuple[Any, ...]]]:
    return {subject: [row[SUBJECT:] for row in group] for subject, group in groupby(rows, lambda row: row[:SUBJECT])}


def _lines(rows: Sequence[tuple[Any, ...]]) -> Iterator[Line]:
    """Lines of rows (method, limited to, place, value, standard error)."""
    for (method, limited_to), group in groupby(rows, lambda row: row[:2]):
        places, values, errors = zip(*(row[2:5] for row in group), strict=True)
        yield Line(method, limited_to, places, values, errors)


def _draw_accuracy(axes: Axes, rows: Sequence[tuple[Any, ...]]) -> None:
    untouched = {severity: value for _, _, severity, _, _, value in rows if value is not None}
    if untouched:
        axes.plot(
            sorted(untouched), [untouched[place] for place in sorted(untouched)], color="black", label=UNTOUCHED,
            linestyle=curves.REFERENCE, linewidth=2, zorder=4,
        )  # fmt: skip
    for line in _lines(rows):
        _draw_line(axes, line)
    axes.set_xlabel("severity of the corruptions (0: clean)", fontsize=SMALL)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    curves.finish(axes, "accuracy, mean over corruptions")
    curves.name_lines(axes)


def _draw_moves(axes: Axes, rows: Sequence[tuple[Any, ...]]) -> None:
    measures = {row[2] for row in rows}
    for name, words in MOVED_BY.items():
        if name in measures:
            for line in _lines([(*row[:2], *row[3:]) for row in rows if row[2] == name]):
                _draw_line(axes, line)
            axes.set_xlabel("layer (0 is the embedding)", fontsize=SMALL)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            curves.finish(axes, words)
            return
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no states were compared", ha="center", va="center", fontsize=SMALL, color="0.4")


def _draw_line(axes: Axes, line: Line) -> None:
    colour, marker = look(line.method)
    bars = [curves.ERRORS * (error or 0.0) for error in line.errors]
    axes.errorbar(
        line.places, line.values, yerr=bars, color=colour, marker=marker, markersize=4.5, linewidth=1.4, elinewidth=0.8,
        capsize=2, label=line.label,
    )  # fmt: skip


def _legend() -> list[Line2D]:
    return [curves.key(f"bars: ± {curves.ERRORS} standard errors over tasks and seeds", "", "0.25", "|")]
