"""Where panels, colour bars and the legend go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from service.errors import BadInput
from service.report import curves
from service.report.heat_maps import SMALL, colour_scale, draw_heat_map
from service.report.panels import Panel, step_label, thinned

MOST_PANELS = 24
CELL_WIDTH, CELL_HEIGHT, BAR_WIDTH, LEGEND_HEIGHT = 8.0, 2.9, 1.5, 1.0  # inches
BAR_ASPECT = 18  # a colour bar's height over its width, a row of panels


class Cell(NamedTuple):
    """A panel and what it is drawn on: a heat map, None where training does not show, and curves."""

    panel: Panel
    heat: Axes | None
    curve: Axes


def layout(shown: list[Panel], heading: str, colours: curves.StepColours) -> tuple[Figure, list[Cell]]:
    """A figure with a heat map and curves for each panel, or curves alone; the value axis is shared by all curves.

    Raises BadInput for more panels than anybody can read.
    """
    if len(shown) > MOST_PANELS:
        raise BadInput(
            f"a figure holds at most {MOST_PANELS} panels, one a model and dataset; {len(shown)} have rows: "
            "name fewer models or datasets"
        )
    halves = 2 if any(panel.in_training for panel in shown) else 1
    across = _cells_across(shown, halves)
    down = -(-len(shown) // across)
    width = (CELL_WIDTH if halves == 2 else 0.6 * CELL_WIDTH) * across + BAR_WIDTH
    canvas = Figure(
        figsize=(width, CELL_HEIGHT * down + LEGEND_HEIGHT), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)
    )
    canvas.suptitle(heading, fontsize=12)
    grid = GridSpec(down, halves * across, figure=canvas)
    cells: list[Cell] = []
    for index, panel in enumerate(shown):
        row, column = index // across, halves * (index % across)
        heat = canvas.add_subplot(grid[row, column]) if panel.in_training else None
        place = grid[row, column + 1] if panel.in_training else grid[row, column : column + halves]
        cells.append(Cell(panel, heat, canvas.add_subplot(place, sharey=cells[0].curve if cells else None)))
    if colours.steps:
        _step_bar(canvas, colours, down)
    return canvas, cells


def _cells_across(shown: list[Panel], halves: int) -> int:
    """A column a dataset where every model has every dataset; else as many as are easily read."""
    models, datasets = {panel.model for panel in shown}, {panel.dataset for panel in shown}
    if 1 < len(datasets) <= 3 and len(shown) == len(models) * len(datasets):
        return len(datasets)
    if halves == 1:
        return min(3, len(shown))
    return 2 if len(datasets) > 1 or len(shown) > 4 else 1


def _step_bar(canvas: Figure, colours: curves.StepColours, down: int) -> None:
    count = len(colours.steps)
    scale = ScalarMappable(Normalize(-0.5, count - 0.5), colours.colour_map)
    bar = canvas.colorbar(scale, ax=canvas.axes, location="right", aspect=BAR_ASPECT * down, pad=0.01)
    places = thinned(count, 14 if down == 1 else 24)
    bar.set_ticks(places, labels=[step_label(colours.steps[place]) for place in places])
    bar.ax.tick_params(labelsize=SMALL, length=0)
    bar.set_label("training step (lines)", fontsize=SMALL)


def add_heat_maps(canvas: Figure, cells: list[Cell], column: str, label: str, log: bool = False) -> None:
    """Draw every heat map on one scale, with one colour bar."""
    scale = colour_scale((panel.columns[column] for panel, _, _ in cells), log)
    images = [draw_heat_map(heat, panel, column, scale) for panel, heat, _ in cells if heat is not None]
    if images:
        drawn = [axes for _, heat, curve in cells for axes in (heat, curve) if axes is not None]
        down = len({axes.get_subplotspec().rowspan.start for axes in drawn})  # type: ignore[union-attr]
        bar = canvas.colorbar(images[0], ax=drawn, location="right", aspect=BAR_ASPECT * down, pad=0.01)
        bar.ax.tick_params(labelsize=SMALL, which="both")
        if log:
            curves.plain_logarithms(bar.ax)
        bar.set_label(f"{label} (heat maps)", fontsize=SMALL)


def start_at_zero(cells: list[Cell]) -> None:
    """The value axis, which all curves share, from 0 (or a little below, where a band reaches there)."""
    axes = cells[0][2]
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, max(low, -0.05 * high)), high)


def make_logarithmic(cells: list[Cell]) -> None:
    """The value axis, which all curves share, logarithmic where there is anything to show."""
    drawn = [np.asarray(line.get_ydata(), float) for cell in cells for line in cell.curve.lines]
    if any((values > 0).any() for values in drawn):
        cells[0][2].set_yscale("log")
        for _, _, axes in cells:
            curves.plain_logarithms(axes)


def add_legend(canvas: Figure, entries: list[Line2D]) -> None:
    """What the line styles mean, below everything."""
    width = canvas.get_size_inches()[0]
    columns = max(1, min(len(entries), int(width // 3.2)))
    canvas.legend(handles=entries, loc="outside lower center", ncols=columns, fontsize=SMALL, frameon=False)
