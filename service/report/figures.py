"""The figures: drawn from the public views alone, without pyplot and its global state."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from service.errors import StoreNotWritable, UnknownName
from service.report import curves
from service.report.concept_figure import concept_figure
from service.report.drift_figure import drift_figure
from service.report.edits_figure import edits_figure
from service.report.layout import add_heat_maps, add_legend, layout, make_logarithmic, start_at_zero
from service.report.loss_curves import loss_figure
from service.report.map_figure import map_figure
from service.report.panels import Connection, Panel, panels
from service.report.removal_figure import removal_figure
from service.report.separability_figure import separability_figure
from service.report.similarity_figure import similarity_figure
from service.report.stitching_figure import stitching_figure
from service.report.tradeoff_figure import tradeoff_figure
from service.report.warning_figure import warning_figure

Names = Sequence[str] | None


def figure(kind: str, connection: Connection, models: Names = None, datasets: Names = None) -> Figure:
    """The figure of one kind, of the models and datasets named or of all there are, on a canvas of its own.

    `anisotropy` and `norms`: heat map and curves by layer. `intrinsic-dimension`: heat map and the middle layer over
    steps. `loss`: cross-entropy over steps. `early-warning`: scores of studies, which `models` then names. `drift`: all layers'
    points on planes, and their path. `similarity`: layers of two networks against each other. `map`: many networks on a
    plane, by the distances of their layers. `stitching`: what each map between two networks loses. `concept`: the
    accuracy of linear probes by layer. `removal`: what is left of a concept in networks trained without some items, of
    ensembles, which `models` then names. `tradeoff`: robustness that edits lose against their success. `edits`: accuracy of
    edited networks by severity of corruptions, and which layers moved. A model of one checkpoint has curves by layer alone.
    Raises UnknownName for another kind; BadInput where the views hold no rows of what was asked.
    """
    if kind not in KINDS:
        raise UnknownName.of("figure", kind, KINDS)
    return KINDS[kind](connection, models, datasets)


def save(drawn: Figure, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write ``<stem>.png`` and ``<stem>.svg`` into `folder`, each whole or not at all; the same rows, the same bytes.

    Raises StoreNotWritable where the folder cannot be written.
    """
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in ((png, as_png(drawn)), (svg, _as_svg(drawn))):
            draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
            try:
                draft.write_bytes(content)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise StoreNotWritable(
            f"cannot write the figure {stem!r} to {folder}: {reason}; choose another folder"
        ) from error
    return png, svg


def as_png(drawn: Figure, dpi: int = 150) -> bytes:
    """The figure as a PNG file's content."""
    return _rendered(drawn, "png", dpi=dpi)


def _as_svg(drawn: Figure) -> bytes:
    with matplotlib.rc_context({"svg.hashsalt": "isoscope"}):
        return _rendered(drawn, "svg", metadata={"Date": None})


def _rendered(drawn: Figure, file_format: str, **options: Any) -> bytes:
    content = io.BytesIO()
    drawn.savefig(content, format=file_format, **options)
    return content.getvalue()


def _anisotropy(connection: Connection, models: Names, datasets: Names) -> Figure:
    columns = ("anisotropy", "std_error", "anisotropy_not_first")
    shown = panels(connection, "anisotropy_by_layer", columns, models, datasets)
    colours = curves.StepColours.of(shown)
    canvas, cells = layout(shown, "Anisotropy: the share of a cloud's variance along its widest direction", colours)
    for panel, _, axes in cells:
        curves.draw_by_layer(axes, panel, "anisotropy", "std_error", colours)
        curves.draw_detail(axes, panel, "anisotropy_not_first", curves.NOT_FIRST, colours)
        _finish(axes, panel, "anisotropy", curves.lines_title(panel))
    add_heat_maps(canvas, cells, "anisotropy", "anisotropy")
    start_at_zero(cells)
    add_legend(canvas, _key_by_layer("anisotropy, all tokens", shown))
    return canvas


def _norms(connection: Connection, models: Names, datasets: Names) -> Figure:
    extremes = ("norm_min", "norm_max", "norm_max_not_first")
    columns = ("norm_mean", "norm_mean_std_error", "norm_mean_not_first", *extremes)
    shown = panels(connection, "norms_by_layer", columns, models, datasets)
    colours = curves.StepColours.of(shown)
    canvas, cells = layout(shown, "Norms of hidden states", colours)
    for panel, _, axes in cells:
        curves.draw_by_layer(axes, panel, "norm_mean", "norm_mean_std_error", colours)
        curves.draw_detail(axes, panel, "norm_mean_not_first", curves.NOT_FIRST, colours)
        for column in ("norm_min", "norm_max"):
            curves.draw_detail(axes, panel, column, curves.EXTREME, colours)
        curves.draw_detail(axes, panel, "norm_max_not_first", curves.EXTREME_NOT_FIRST, colours)
        _finish(axes, panel, "norm", f"mean, {curves.lines_title(panel)}")
    make_logarithmic(cells)
    add_heat_maps(canvas, cells, "norm_mean", "mean norm", log=True)
    entries = _key_by_layer("mean norm, all tokens", shown)
    last = _last_step(shown)
    entries.append(curves.key(f"smallest and largest norm{last}", curves.EXTREME))
    entries.append(curves.key(f"largest norm without first tokens{last}", curves.EXTREME_NOT_FIRST))
    add_legend(canvas, entries)
    return canvas


def _intrinsic_dimension(connection: Connection, models: Names, datasets: Names) -> Figure:
    columns = ("twonn", "std_error", "twonn_not_first", "twonn_gaussian")
    shown = panels(connection, "intrinsic_dimension_by_layer", columns, models, datasets)
    canvas, cells = layout(shown, "Intrinsic dimension (TwoNN)", curves.StepColours(()))
    for panel, _, axes in cells:
        if panel.in_training:
            _draw_middle_layer(axes, panel)
        else:
            _draw_dimension_by_layer(axes, panel)
    add_heat_maps(canvas, cells, "twonn", "intrinsic dimension")
    make_logarithmic(cells)
    blue, red = curves.DISTINCT[:2]
    first = curves.key(f"TwoNN, all tokens (bars: ± {curves.ERRORS} standard errors)", "-", blue, "o")
    not_first = curves.key("without first tokens", curves.NOT_FIRST, red, "s")
    add_legend(canvas, [first, not_first, curves.key("Gaussian cloud of the same spectrum", "--", "0.4")])
    return canvas


def _draw_middle_layer(axes: Axes, panel: Panel) -> None:
    rows, middle = list(panel.stepped), panel.middle
    steps = [panel.checkpoints[row].step or 0 for row in rows]
    blue, red = curves.DISTINCT[:2]
    value, error, not_first, gaussian = (panel.columns[name][rows, middle] for name in panel.columns)
    curves.draw_over_steps(axes, steps, gaussian, None, "0.4", "", linestyle="--", linewidth=1.3)
    curves.draw_over_steps(axes, steps, not_first, None, red, "s", linestyle=curves.NOT_FIRST, linewidth=1.3)
    curves.draw_over_steps(axes, steps, value, error, blue, "o", linewidth=1.8)
    curves.scale_steps(axes, steps)
    curves.finish(axes, "intrinsic dimension", f"layer {panel.layers[middle]}, the middle one, over training")


def _draw_dimension_by_layer(axes: Axes, panel: Panel) -> None:
    places = np.arange(len(panel.layers))
    blue, red = curves.DISTINCT[:2]
    for row, checkpoint in enumerate(panel.checkpoints):
        value, error, not_first, gaussian = (panel.columns[name][row] for name in panel.columns)
        axes.plot(places, gaussian, color="0.4", linestyle="--", linewidth=1.3)
        axes.plot(places, not_first, color=red, linestyle=curves.NOT_FIRST, marker="s", markersize=4, linewidth=1.3)
        marker = curves.MARKERS[row % len(curves.MARKERS)]
        label = curves.checkpoint_label(checkpoint)
        curves.draw_over_steps(axes, places.tolist(), value, error, blue, marker, linewidth=1.8, label=label)
    curves.label_layers(axes, panel)
    curves.finish(axes, "intrinsic dimension", panel.title)
    curves.name_lines(axes)


def _finish(axes: Axes, panel: Panel, label: str, title: str) -> None:
    curves.finish(axes, label, title if panel.in_training else panel.title)


def _key_by_layer(label: str, shown: list[Panel]) -> list[Line2D]:
    band = f"{label} (band: ± {curves.ERRORS} standard errors)"
    return [curves.key(band, marker="o"), curves.key(f"without first tokens{_last_step(shown)}", curves.NOT_FIRST)]


def _last_step(shown: list[Panel]) -> str:
    return " (last step)" if any(panel.in_training for panel in shown) else ""


KINDS: dict[str, Callable[[Connection, Names, Names], Figure]] = {
    "anisotropy": _anisotropy,
    "intrinsic-dimension": _intrinsic_dimension,
    "norms": _norms,
    "loss": loss_figure,
    "early-warning": warning_figure,
    "drift": drift_figure,
    "separability": separability_figure,
    "similarity": similarity_figure,
    "map": map_figure,
    "stitching": stitching_figure,
    "concept": concept_figure,
    "removal": removal_figure,
    "tradeoff": tradeoff_figure,
    "edits": edits_figure,
}
