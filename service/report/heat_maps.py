"""Layer by step heat maps: steps as ordered categories (they are log-spaced), depth upwards from 0, one scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.image import AxesImage

from service.report.panels import Panel, Values, step_label, thinned

SMALL, MEDIUM = 8, 9
MOST_STEP_LABELS = 20
MOST_LAYER_LABELS = 9


def colour_scale(arrays: Iterable[Values], log: bool = False) -> Normalize:
    """One scale for every panel, from the least to the greatest finite value (positive where logarithmic)."""
    values = np.concatenate([array.ravel() for array in arrays])
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.1, 1.0)
    if low == high:
        high = low + (abs(low) or 1.0) * 1e-3
    return LogNorm(low, high) if log else Normalize(low, high)


def draw_heat_map(axes: Axes, panel: Panel, column: str, scale: Normalize) -> AxesImage:
    """`column` of a panel, (layers, steps) with step to the right and depth upwards; grey where there is no value."""
    shown = panel.columns[column][list(panel.stepped)].T
    image = axes.imshow(
        np.ma.masked_invalid(shown),
        cmap=_colour_map(),
        norm=scale,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_title(panel.title, fontsize=MEDIUM, loc="left")
    _label_steps(axes, [panel.checkpoints[index].step or 0 for index in panel.stepped])
    places, labels = layer_ticks(panel)
    axes.set_yticks(places, labels)
    axes.set_ylabel("layer", fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    return image


def layer_ticks(panel: Panel) -> tuple[list[int], list[str]]:
    """Places and labels of the layer axis: depth in even strides, and by name the state after the last norm."""
    last = len(panel.layers) - 1
    ends_normed = panel.streams[last] == "final"
    blocks = last if ends_normed else last + 1
    stride = next(stride for stride in (1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 1000) if blocks / stride <= MOST_LAYER_LABELS)
    places = [
        place for place in range(0, blocks, stride) if not ends_normed or stride == 1 or last - place >= stride / 2
    ]
    labels = [str(panel.layers[place]) for place in places]
    return ([*places, last], [*labels, "norm"]) if ends_normed else (places, labels)


def _colour_map() -> Colormap:
    return matplotlib.colormaps["viridis"].with_extremes(bad="0.85")


def _label_steps(axes: Axes, steps: Sequence[int]) -> None:
    places = thinned(len(steps), MOST_STEP_LABELS)
    labels = [step_label(steps[place]) for place in places]
    axes.set_xticks(places, labels, rotation=90 if len(labels) > 8 else 0)
    axes.set_xlabel("training step", fontsize=SMALL)
