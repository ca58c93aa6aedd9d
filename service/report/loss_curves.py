"""Cross-entropy over training: one panel a dataset, one line a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.report import curves
from service.report.heat_maps import SMALL
from service.report.panels import Connection, view_rows

COLUMNS = ("model", "kind", "step", "revision", "dataset", "loss")


def loss_figure(connection: Connection, models: Sequence[str] | None, datasets: Sequence[str] | None) -> Figure:
    """Each model's own cross-entropy in nats per predicted token, by step on a logarithmic axis that shows step 0.

    A decoder predicts the next token and an encoder the masked one, so that only lines of one kind compare.
    A checkpoint without a step is a level line. Raises BadInput where there are no rows.
    """
    rows = [row for row in view_rows(connection, "loss_by_checkpoint", COLUMNS, models, datasets) if row[5] is not None]
    names = sorted({row[4] for row in rows})
    canvas = Figure(figsize=(5.4 * max(len(names), 1), 3.9), layout="constrained")
    canvas.suptitle("Cross-entropy by training step", fontsize=12)
    lines = sorted({(row[0], row[1]) for row in rows})
    shared: Axes | None = None
    for place, name in enumerate(names):
        axes = canvas.add_subplot(1, len(names), place + 1, sharey=shared)
        shared = shared or axes
        _draw(axes, [row for row in rows if row[4] == name], lines)
        curves.finish(axes, "cross-entropy (nats per token)", f"on {name}")
        named = sorted(zip(*reversed(axes.get_legend_handles_labels()), strict=True), key=lambda entry: entry[0])
        axes.legend([handle for _, handle in named], [label for label, _ in named], fontsize=SMALL, framealpha=0.8)
    return canvas


def _draw(axes: Axes, rows: list[tuple[Any, ...]], lines: list[tuple[str, str]]) -> None:
    steps: list[int] = []
    for index, (model, kind) in enumerate(lines):
        colour, marker = curves.DISTINCT[index % len(curves.DISTINCT)], curves.MARKERS[index % len(curves.MARKERS)]
        mine = [row for row in rows if row[:2] == (model, kind)]
        curve = sorted((row[2], row[5]) for row in mine if row[2] is not None)
        if curve:
            steps += [step for step, _ in curve]
            at, values = zip(*curve, strict=True)
            curves.draw_over_steps(axes, at, np.array(values), None, colour, marker, label=f"{model} ({kind})")
        for row in sorted((row for row in mine if row[2] is None), key=lambda row: row[3]):
            axes.axhline(
                row[5], color=colour, linestyle=curves.REFERENCE, label=f"{model} ({kind}), revision {row[3][:8]}"
            )
    if steps:
        curves.scale_steps(axes, steps)
    else:
        axes.set_xticks([])
