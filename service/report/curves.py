"""Curves: a value by layer, one line a step, and a value over steps, one line a model or a reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import NDArray

from service.report.heat_maps import MEDIUM, SMALL, layer_ticks
from service.report.panels import Panel, Values, checkpoint_label, step_label, thinned

ERRORS = 2  # standard errors that a band or a bar reaches to either side
MOST_LINES = 24
NOT_FIRST = (0, (4, 2))
REFERENCE = (0, (5, 3))
EXTREME = (0, (1, 1.5))
EXTREME_NOT_FIRST = (0, (6, 2, 1, 2))
# Okabe and Ito's colours, which every kind of colour vision tells apart (jfly.uni-koeln.de/color), without the yellow
DISTINCT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class StepColours:
    """One colour a step, in the order of steps over all panels, so that a colour means the same step everywhere."""

    steps: tuple[int, ...]

    @classmethod
    def of(cls, shown: Iterable[Panel]) -> StepColours:
        """The steps of every panel that shows training."""
        found = {panel.checkpoints[index].step or 0 for panel in shown if panel.in_training for index in panel.stepped}
        return cls(tuple(sorted(found)))

    @property
    def colour_map(self) -> ListedColormap:
        """Light for early, dark for late steps; the palest part is left out, so that every line stands on white."""
        return ListedColormap(matplotlib.colormaps["plasma_r"](np.linspace(0.1, 1.0, max(len(self.steps), 1))))

    def of_step(self, step: int) -> tuple[float, float, float, float]:
        """The colour of one step."""
        red, green, blue, alpha = self.colour_map(self.steps.index(step))
        return red, green, blue, alpha


def line_colours(panel: Panel, colours: StepColours) -> list[object]:
    """One colour a checkpoint: by step where the panel shows training, else (and without a step) a distinct one."""
    distinct = iter(DISTINCT * (1 + len(panel.checkpoints) // len(DISTINCT)))
    return [
        colours.of_step(checkpoint.step) if panel.in_training and checkpoint.step is not None else next(distinct)
        for checkpoint in panel.checkpoints
    ]


def marked_rows(panel: Panel) -> list[int]:
    """The checkpoints drawn with every detail: the last step, and those that have a name of their own in the legend."""
    if not panel.in_training:
        return list(range(len(panel.checkpoints)))
    return [panel.stepped[-1], *(row for row in range(len(panel.checkpoints)) if row not in panel.stepped)]


def drawn_rows(panel: Panel) -> list[int]:
    """The checkpoints that have a line: all, or of very many steps an even choice with the first and the last."""
    steps = [panel.stepped[place] for place in thinned(len(panel.stepped), MOST_LINES)] if panel.stepped else []
    return [*steps, *(row for row in range(len(panel.checkpoints)) if row not in panel.stepped)]


def lines_title(panel: Panel) -> str:
    """What the lines of a panel are."""
    count = len(panel.stepped)
    return "one line a step" if count <= MOST_LINES else f"one line a step, {MOST_LINES} of {count} steps"


def draw_by_layer(axes: Axes, panel: Panel, column: str, std_error: str | None, colours: StepColours) -> None:
    """`column` against depth, one line a checkpoint, with a band of standard errors where there are any."""
    places = np.arange(len(panel.layers))
    marked = marked_rows(panel)
    by_row = line_colours(panel, colours)
    for row in drawn_rows(panel):
        colour = by_row[row]
        named = not panel.in_training or panel.checkpoints[row].step is None
        values = panel.columns[column][row]
        axes.plot(
            places,
            values,
            color=colour,
            linewidth=2.0 if row in marked else 1.1,
            marker="o",
            markersize=3.5 if row in marked else 2,
            label=checkpoint_label(panel.checkpoints[row]) if named else None,
            zorder=3 if row in marked else 2,
        )
        if std_error is not None:
            _band(axes, places, values, panel.columns[std_error][row], colour)
    label_layers(axes, panel)
    name_lines(axes)


def draw_detail(axes: Axes, panel: Panel, column: str, style: Any, colours: StepColours) -> None:
    """One more line for each marked checkpoint, in its colour and a line style: without first tokens, or extremes."""
    by_row = line_colours(panel, colours)
    for row in marked_rows(panel):
        axes.plot(
            np.arange(len(panel.layers)),
            panel.columns[column][row],
            color=by_row[row],
            linestyle=style,
            linewidth=1.5,
            zorder=4,
        )


def draw_over_steps(
    axes: Axes, steps: Sequence[int], values: Values, errors: Values | None, colour: str, marker: str, **style: Any
) -> None:
    """Values at steps, with bars of standard errors where there are any."""
    bars = None if errors is None else ERRORS * np.nan_to_num(errors)
    axes.errorbar(steps, values, yerr=bars, color=colour, marker=marker, markersize=4, capsize=2, elinewidth=1, **style)


def scale_steps(axes: Axes, steps: Iterable[int]) -> None:
    """A logarithmic step axis on which step 0 shows."""
    last = max(steps, default=1)
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    ticks = [0, *(10**power for power in range(len(str(max(last, 1)))))]
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: step_label(int(step))))
    axes.set_xlim(-0.3, max(last, 1) * 1.4)
    axes.set_xlabel("training step", fontsize=SMALL)


def plain_logarithms(axes: Axes) -> None:
    """Plain numbers on a logarithmic value axis, also between powers of ten where few of those are in view."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: _minor_label(value, axes.get_ylim())))
    axes.tick_params(axis="y", which="minor", labelsize=SMALL)


def _minor_label(value: float, limits: tuple[float, float]) -> str:
    decades = np.log10(limits[1] / limits[0])
    leading = f"{value:e}"[0]
    return f"{value:g}" if (decades < 1 and leading in "234568") or (decades < 2.5 and leading in "25") else ""


def label_layers(axes: Axes, panel: Panel) -> None:
    """A layer axis from 0."""
    places, labels = layer_ticks(panel)
    axes.set_xticks(places, labels)
    axes.set_xlim(-0.4, len(panel.layers) - 0.6)
    axes.set_xlabel("layer", fontsize=SMALL)


def finish(axes: Axes, label: str, title: str | None = None) -> None:
    """The value's name, a light grid, and small tick labels."""
    axes.set_ylabel(label, fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if title is not None:
        axes.set_title(title, fontsize=MEDIUM, loc="left")


def name_lines(axes: Axes) -> None:
    """A small legend inside, where lines have names."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=SMALL - 1, frameon=True, framealpha=0.8, edgecolor="none", loc="best")


def key(label: str, style: Any = "-", colour: str = "0.25", marker: str | None = None, width: float = 1.5) -> Line2D:
    """An entry of the figure's legend."""
    return Line2D([], [], color=colour, linestyle=style, label=label, marker=marker, linewidth=width, markersize=4)


def _band(axes: Axes, places: NDArray[np.int_], values: Values, errors: Values, colour: object) -> None:
    if np.isfinite(errors).any():
        reach = ERRORS * errors
        axes.fill_between(places, values - reach, values + reach, color=colour, alpha=0.15, linewidth=0, zorder=1)
