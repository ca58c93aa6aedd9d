"""The drift of the layers: all layers' points on one plane, coloured by depth, beside the path of their centroids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from service.errors import BadInput
from service.report import curves
from service.report.heat_maps import MEDIUM, SMALL
from service.report.panels import Connection, Values, checkpoint_label, thinned, view_rows
from service.subjects import Checkpoint

MOST_CHECKPOINTS = 4
WIDTH, HEIGHT = 17.0, 14.0  # inches of one checkpoint
COLUMNS = (
    *("norm_min", "norm_mean", "norm_max", "norm_mean_not_first"),
    *("step_length", "step_length_std_error", "step_length_not_first"),
    *("step_angle", "step_angle_std_error", "step_angle_not_first"),
    *("step_over_spread", "step_over_spread_std_error", "step_over_spread_not_first"),
)
NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
KINDS = (
    (False, 0, "raw"),
    (True, 0, "length 1"),
    (False, 1, "raw, without the embedding"),
    (True, 1, "length 1, without the embedding"),
)
CURVES = (
    ("step_length", "length of the step", "step to the next layer"),
    ("step_angle", "degrees", "angle between the steps in and out"),
    ("step_over_spread", "step / spread", "step against the spread within the layer"),
)
POINTS = """
select reduction, normalised, from_layer, layer, x, y from lab.drift_points
where model = ? and dataset = ? and revision = ? and procedure = 'corrected' order by layer, item_id, char_end, position
"""
EXPLAINED = """
select normalised, from_layer, component, explained_variance from lab.drift_explained_variance
where model = ? and dataset = ? and revision = ? and procedure = 'corrected'
"""
GROWTH = """
select rate, rate_std_error, r_squared_exponential, r_squared_linear from lab.norm_growth
where model = ? and dataset = ? and revision = ?
"""
Names = Sequence[str] | None
Plane = tuple[str, bool, int]  # reduction, length 1, first layer


@dataclass(frozen=True, eq=False)
class Shown:
    """One checkpoint on one dataset: its path by column, its points (layer, x, y) and explained variances by plane."""

    checkpoint: Checkpoint
    dataset: str
    layers: tuple[int, ...]
    path: dict[str, Values]
    points: dict[Plane, NDArray[np.float64]]
    explained: dict[tuple[bool, int, int], float]
    growth: tuple[float | None, ...]

    @property
    def colours(self) -> ListedColormap:
        """One colour a layer, dark for the embedding; the palest part is left out, so that every point stands on white."""
        return ListedColormap(matplotlib.colormaps["plasma"](np.linspace(0.0, 0.92, len(self.layers))))

    @property
    def scale(self) -> Normalize:
        """Layers in the middle of their colours."""
        return Normalize(self.layers[0] - 0.5, self.layers[-1] + 0.5)


def drift_figure(connection: Connection, models: Names = None, datasets: Names = None) -> Figure:
    """The last step of each model and dataset. Rows: raw, scaled to length 1, and both without the input embedding; columns:
    PCA with the centroids' path, t-SNE, UMAP, and by layer the norms with the fitted exponential, the length of the steps,
    the angle between them, and step over spread. Raises BadInput where nothing was measured, or too much to be drawn."""
    columns = ("model", "step", "revision", "dataset", "layer", *COLUMNS)
    rows = view_rows(connection, "layer_drift", columns, models, datasets, "isoscope drift")
    subjects = sorted({(row[0], row[3]) for row in rows})
    if len(subjects) > MOST_CHECKPOINTS:
        raise BadInput(
            f"a figure holds the drift of {MOST_CHECKPOINTS} networks, one a model and dataset; {len(subjects)} have rows: "
            "name fewer models or datasets"
        )
    canvas = Figure(figsize=(WIDTH, HEIGHT * len(subjects)), layout="constrained")
    parts = canvas.subfigures(len(subjects), 1, squeeze=False)
    for part, subject in zip(parts[:, 0], subjects, strict=True):
        _draw(part, _shown(connection, subject, [row for row in rows if (row[0], row[3]) == subject]))
    return canvas


def _shown(connection: Connection, subject: tuple[str, str], rows: Sequence[tuple[Any, ...]]) -> Shown:
    step, revision = max(((row[1], row[2]) for row in rows), key=lambda one: (one[0] is not None, one[0] or 0, one[1]))
    mine = sorted((row for row in rows if row[2] == revision and row[1] == step), key=lambda row: row[4])
    values = np.array([row[5:] for row in mine], dtype=float)
    asked = [*subject, revision]
    points: dict[Plane, list[tuple[float, ...]]] = {}
    for reduction, normalised, first, *place in connection.execute(POINTS, asked).fetchall():
        points.setdefault((reduction, normalised, first), []).append(tuple(place))
    growth = connection.execute(GROWTH, asked).fetchall()
    return Shown(
        Checkpoint(subject[0], step, revision),
        subject[1],
        tuple(row[4] for row in mine),
        {name: values[:, place] for place, name in enumerate(COLUMNS)},
        {plane: np.array(found) for plane, found in points.items()},
        {tuple(row[:3]): row[3] for row in connection.execute(EXPLAINED, asked).fetchall()},
        tuple(growth[0]) if growth else (None,) * 4,
    )


def _draw(canvas: SubFigure, shown: Shown) -> None:
    said = f"{shown.checkpoint.model} ({checkpoint_label(shown.checkpoint)}) on {shown.dataset}"
    canvas.suptitle(f"Drift of the layers: {said}", fontsize=12)
    grid = canvas.add_gridspec(len(KINDS), 4, width_ratios=(1, 1, 1, 1.15))
    planes = []
    for row, (normalised, first, label) in enumerate(KINDS):
        for column, reduction in enumerate(NAMES):
            axes = canvas.add_subplot(grid[row, column])
            _draw_plane(axes, shown, (reduction, normalised, first), f"{NAMES[reduction]}, {label}")
            planes.append(axes)
    _draw_norms(canvas.add_subplot(grid[0, 3]), shown)
    for row, curve in enumerate(CURVES, 1):
        _draw_curve(canvas.add_subplot(grid[row, 3]), shown, *curve)
    scale = ScalarMappable(shown.scale, shown.colours)
    bar = canvas.colorbar(scale, ax=planes, location="left", aspect=40, shrink=0.5, fraction=0.02)
    bar.set_ticks([shown.layers[place] for place in thinned(len(shown.layers), 26)])
    bar.ax.tick_params(labelsize=SMALL, length=0)
    bar.set_label("layer (0 is the input embedding)", fontsize=SMALL)


def _draw_plane(axes: Axes, shown: Shown, plane: Plane, title: str) -> None:
    axes.set_title(title, fontsize=MEDIUM, loc="left")
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    found = shown.points.get(plane)
    if found is None:
        axes.text(0.5, 0.5, "no points", transform=axes.transAxes, ha="center", fontsize=SMALL, color="0.4")
        return
    mixed = found[np.random.default_rng(0).permutation(len(found))]  # no layer lies on top of the others
    axes.scatter(
        mixed[:, 1],
        mixed[:, 2],
        c=mixed[:, 0],
        cmap=shown.colours,
        norm=shown.scale,
        s=7,
        alpha=0.65,
        linewidths=0,
        rasterized=True,
    )
    if plane[0] != "pca":
        axes.set_xticks([])
        axes.set_yticks([])
        return
    _draw_path(axes, shown, found)
    for component, name in ((1, "x"), (2, "y")):
        share = shown.explained.get((*plane[1:], component))
        said = f" ({100 * share:.1f} % of the variance)" if share is not None else ""
        axes.set(**{f"{name}label": f"component {component}{said}"})
        getattr(axes, f"{name}axis").label.set_fontsize(SMALL)


def _draw_path(axes: Axes, shown: Shown, found: NDArray[np.float64]) -> None:
    """The centroids on the plane, joined in the order of depth."""
    layers = np.unique(found[:, 0])
    centres = np.array([found[found[:, 0] == layer, 1:].mean(axis=0) for layer in layers])
    axes.plot(centres[:, 0], centres[:, 1], color="0.15", linewidth=1.2, zorder=3)
    axes.scatter(
        centres[:, 0],
        centres[:, 1],
        c=layers,
        cmap=shown.colours,
        norm=shown.scale,
        s=30,
        edgecolors="0.15",
        linewidths=0.8,
        zorder=4,
    )


def _draw_norms(axes: Axes, shown: Shown) -> None:
    layers, mean = np.array(shown.layers, dtype=float), shown.path["norm_mean"]
    red, blue = curves.DISTINCT[1], curves.DISTINCT[0]
    axes.fill_between(layers, shown.path["norm_min"], shown.path["norm_max"], color=blue, alpha=0.12, linewidth=0)
    for column, name in (("norm_min", "smallest"), ("norm_max", "largest")):
        axes.plot(layers, shown.path[column], color=blue, linestyle=curves.EXTREME, linewidth=1.3, label=name)
    axes.plot(layers, mean, color=blue, marker="o", markersize=3.5, linewidth=1.8, label="mean")
    not_first = shown.path["norm_mean_not_first"]
    axes.plot(
        layers, not_first, color=blue, linestyle=curves.NOT_FIRST, linewidth=1.3, label="mean without first tokens"
    )
    title = "norm"
    rate, error, exponential, linear = shown.growth
    inside = (layers > 0) & (mean > 0)
    if rate is not None and inside.any():
        start = np.log(mean[inside]).mean() - rate * layers[inside].mean()
        spread = f" ± {error:.2g}" if error is not None else ""
        axes.plot(
            layers[inside],
            np.exp(start + rate * layers[inside]),
            color=red,
            linestyle=curves.REFERENCE,
            linewidth=1.5,
            label=f"exponential: {rate:.3g}{spread} nats a layer",
        )
        fits = [f"{value:.3f}" if value is not None else "undefined" for value in (exponential, linear)]
        title = f"norm; R² of the exponential {fits[0]}, of a straight line {fits[1]}"
    if (shown.path["norm_max"] > 0).any():
        axes.set_yscale("log")
        curves.plain_logarithms(axes)
    _finish(axes, shown, "norm", title)
    axes.legend(fontsize=SMALL - 1, frameon=False)


def _draw_curve(axes: Axes, shown: Shown, column: str, label: str, title: str) -> None:
    layers, values = np.array(shown.layers), shown.path[column]
    bars = curves.ERRORS * np.nan_to_num(shown.path[f"{column}_std_error"])
    blue, red = curves.DISTINCT[:2]
    name = f"all tokens (± {curves.ERRORS} standard errors)"
    axes.errorbar(layers, values, bars, color=blue, marker="o", markersize=4, capsize=2, linewidth=1.6, label=name)
    rest = shown.path[f"{column}_not_first"]
    axes.plot(layers, rest, color=red, linestyle=curves.NOT_FIRST, marker="s", markersize=3, linewidth=1.3)
    axes.lines[-1].set_label("without first tokens")
    if column == "step_angle":
        axes.set_ylim(0, 180)
        axes.set_yticks([0, 45, 90, 135, 180])
    else:
        axes.set_ylim(bottom=0)
    _finish(axes, shown, label, title)
    axes.legend(fontsize=SMALL - 1, frameon=False)


def _finish(axes: Axes, shown: Shown, label: str, title: str) -> None:
    axes.set_xticks([shown.layers[place] for place in thinned(len(shown.layers), 14)])
    axes.set_xlim(shown.layers[0] - 0.4, shown.layers[-1] + 0.4)
    axes.set_xlabel("layer", fontsize=SMALL)
    curves.finish(axes, label, title)
