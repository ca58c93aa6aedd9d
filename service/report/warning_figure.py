"""Early warnings: what each signal was worth, and the intrinsic dimension in the steps before a loss spike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.errors import BadInput
from service.report import curves
from service.report.heat_maps import SMALL
from service.report.panels import Connection

SCORES = """
select signal, horizon, auroc, auroc_low, auroc_high from lab.early_warning_scores
where study = ? and cause = 'all' order by signal, horizon
"""
BEFORE = """
select layer, steps_before, median(excess_in_std_errors), quantile_cont(excess_in_std_errors, 0.25),
       quantile_cont(excess_in_std_errors, 0.75)
from lab.intrinsic_dimension_before_loss_spikes
where starts_with(model, ? || '/') and isfinite(excess_in_std_errors) group by layer, steps_before order by layer, steps_before
"""
SHUFFLED = " (time-shuffled)"
Bounds = tuple[Any, Any, Any]  # a score and its interval, None where it is undefined


def warning_figure(
    connection: Connection, studies: Sequence[str] | None, datasets: Sequence[str] | None = None
) -> Figure:
    """One row a study: AUROC by signal with its 95 % interval and the range of shuffled labels behind it, a panel a horizon;
    last, the excess of the intrinsic dimension before spikes. Raises BadInput where there are no scores."""
    known = [
        row[0]
        for row in connection.execute("select distinct study from lab.early_warning_scores order by 1").fetchall()
    ]
    names = [name for name in known if studies is None or name in studies]
    if not names:
        raise BadInput("there are no scores of early warnings to draw: run `isoscope early-warning`")
    canvas = Figure(figsize=(15, 4.2 * len(names)), layout="constrained")
    said = "Area under the ROC curve with 95 % intervals; grey: the same against time-shuffled labels, which is chance"
    canvas.suptitle(f"What foretells a loss spike? {said}", fontsize=12)
    for place, name in enumerate(names):
        cells = [canvas.add_subplot(len(names), 4, 4 * place + column + 1) for column in range(4)]
        _draw_scores(cells[:3], connection.execute(SCORES, [name]).fetchall())
        _draw_before(cells[3], connection.execute(BEFORE, [name]).fetchall())
        cells[0].set_title(f"{name}\n{cells[0].get_title()}", fontsize=SMALL + 1)
    return canvas


def _draw_scores(cells: Sequence[Axes], rows: Sequence[tuple[Any, ...]]) -> None:
    horizons = sorted({row[1] for row in rows})
    signals = sorted({row[0] for row in rows if not row[0].endswith(SHUFFLED)}, reverse=True)
    found: dict[tuple[str, int], Bounds] = {(row[0], row[1]): row[2:5] for row in rows}
    for column, (axes, horizon) in enumerate(zip(cells, horizons, strict=False)):
        for height, signal in enumerate(signals):
            _draw_score(axes, height, found.get((signal, horizon)), found.get((signal + SHUFFLED, horizon)))
        axes.axvline(0.5, color="0.4", linestyle=curves.REFERENCE, linewidth=1)
        axes.set_xlim(0, 1)
        axes.set_yticks(range(len(signals)), [signal.replace("_", " ") for signal in signals] if column == 0 else [])
        axes.set_xlabel("AUROC")
        axes.set_title(f"within {horizon} steps", fontsize=SMALL + 1)


def _draw_score(axes: Axes, height: int, score: Bounds | None, shuffled: Bounds | None) -> None:
    if shuffled is not None and shuffled[0] is not None:
        axes.barh(height, shuffled[2] - shuffled[1], left=shuffled[1], height=0.7, color="0.85")
    if score is not None and score[0] is not None:
        value, low, high = score
        errors = np.array([[max(value - low, 0)], [max(high - value, 0)]])
        axes.errorbar([value], [height], xerr=errors, fmt="o", color=curves.DISTINCT[0], markersize=5, capsize=3)


def _draw_before(axes: Axes, rows: Sequence[tuple[int, int, float, float, float]]) -> None:
    for place, layer in enumerate(sorted({row[0] for row in rows})):
        mine = np.array([row[1:] for row in rows if row[0] == layer], dtype=float)
        colour = curves.DISTINCT[place % len(curves.DISTINCT)]
        axes.plot(-mine[:, 0], mine[:, 1], color=colour, linewidth=1.5, label=f"layer {layer}")
        axes.fill_between(-mine[:, 0], mine[:, 2], mine[:, 3], color=colour, alpha=0.15, linewidth=0)
    axes.axhline(0, color="0.4", linestyle=curves.REFERENCE, linewidth=1)
    axes.set_title("dimension before spikes: median, quartiles", fontsize=SMALL + 1)
    axes.set_xlabel("steps before the spike")
    axes.set_ylabel("excess over its trend (standard errors)")
    if rows:
        axes.legend(fontsize=SMALL)
