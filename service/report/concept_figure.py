"""Where in a network a concept sits: the accuracy of probes by layer, beside their control task and chance."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from service.errors import BadInput
from service.report import curves
from service.report.asking import conditions, with_where
from service.report.heat_maps import SMALL
from service.report.panels import Connection, step_label

MOST_PANELS = 6
WIDTH, HEIGHT = 5.2, 3.6
CONTROL = (0, (4, 2))
EARLY = (0, (1, 1.5))
QUERY = """
select dataset, concept, concept_id, model, coalesce(step, -1) as step, revision, layer, arg_max(accuracy, folds),
       arg_max(accuracy_std, folds), arg_max(accuracy - selectivity, folds), arg_max(chance, folds)
from lab.concept_probes
{where}
  and penalty = 'l2' and labels = 'real' and positions = 'all' and model is not null
group by all order by dataset, concept, concept_id, model, step, revision, layer
"""
CENTROIDS = """
select concept_id, revision, arg_max(centroid, folds), arg_max(centroid_std, folds) from lab.concept_location
where model is not null and positions = 'all' group by all order by all
"""


@dataclass(frozen=True)
class Profile:
    """One checkpoint: accuracy by layer, its deviation over seeds, the control's accuracy, and the centroid."""

    model: str
    step: int
    layers: tuple[int, ...]
    accuracy: tuple[float, ...]
    spread: tuple[float, ...]
    control: tuple[float, ...]
    chance: float
    centroid: tuple[float | None, float | None]

    @property
    def label(self) -> str:
        """Model, and its step where there is one."""
        return self.model if self.step < 0 else f"{self.model}, step {step_label(self.step)}"


Panels = dict[tuple[str, str, str], list[Profile]]


def concept_figure(
    connection: Connection, models: Sequence[str] | None = None, datasets: Sequence[str] | None = None
) -> Figure:
    """A panel a concept and dataset, with a line for the last checkpoint of each model, a dotted one for its first where it has
    several, and bands of ± one standard deviation over held-out items. Raises BadInput where there is nothing to draw, or
    too much."""
    shown = _panels(connection, models, datasets)
    if not shown:
        among = f" for {', '.join(map(repr, [*(models or ()), *(datasets or ())]))}" if models or datasets else ""
        raise BadInput(f"there is no concept to draw{among}: run `isoscope probe` first")
    if len(shown) > MOST_PANELS:
        raise BadInput(f"a figure holds {MOST_PANELS} concepts; {len(shown)} have rows: name a model and a dataset")
    across = min(len(shown), 3)
    down = -(-len(shown) // across)
    canvas = Figure(figsize=(WIDTH * max(across, 1.3), HEIGHT * down + 1.1), layout="constrained")
    canvas.suptitle("Where does a concept sit? Linear probes by layer, whole items held out", fontsize=12)
    colours = {
        model: place for place, model in enumerate(dict.fromkeys(one.model for all_ in shown.values() for one in all_))
    }
    for place, ((dataset, concept, _), profiles) in enumerate(shown.items()):
        axes = canvas.add_subplot(down, across, place + 1)
        for profile in profiles:
            last = max(one.step for one in profiles if one.model == profile.model)
            _draw(axes, profile, curves.DISTINCT[colours[profile.model] % len(curves.DISTINCT)], profile.step == last)
        axes.axhline(profiles[0].chance, color="0.4", linestyle=curves.REFERENCE, linewidth=1)
        axes.set_xlabel("layer (0 is the embedding)", fontsize=SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        curves.finish(axes, "accuracy", textwrap.fill(f"{concept}\non {dataset}", 52, replace_whitespace=False))
        curves.name_lines(axes)
    canvas.legend(handles=_legend(), loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    return canvas


def _panels(connection: Connection, models: Sequence[str] | None, datasets: Sequence[str] | None) -> Panels:
    asked = conditions({"model": models or (), "dataset": datasets or ()}, ("model", "dataset"))
    centroids = {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(CENTROIDS).fetchall()}
    found: dict[tuple[str, ...], dict[tuple[Any, ...], list[tuple[Any, ...]]]] = {}
    for row in connection.execute(with_where(QUERY, asked)).fetchall():
        found.setdefault(tuple(row[:3]), {}).setdefault(tuple(row[3:6]), []).append(tuple(row[6:]))
    shown: Panels = {}
    for (dataset, concept, identity), checkpoints in found.items():
        profiles = [
            _profile(who, rows, centroids.get((identity, who[2]), (None, None))) for who, rows in checkpoints.items()
        ]
        shown[dataset, concept, identity] = _ends(profiles)
    return shown


def _ends(profiles: Sequence[Profile]) -> list[Profile]:
    """The first and the last checkpoint of each model."""
    ends: dict[str, list[Profile]] = {}
    for one in sorted(profiles, key=lambda one: one.step):
        ends.setdefault(one.model, []).append(one)
    return [one for found in ends.values() for one in ([found[0], found[-1]] if len(found) > 1 else found)]


def _profile(who: tuple[Any, ...], rows: Sequence[tuple[Any, ...]], centroid: tuple[Any, Any]) -> Profile:
    by_layer = {row[0]: row for row in rows}  # of several numbers of folds the largest
    layers, accuracy, spread, control, chance = zip(*(by_layer[layer] for layer in sorted(by_layer)), strict=True)
    return Profile(who[0], who[1], layers, accuracy, tuple(one or 0.0 for one in spread), control, chance[-1], centroid)


def _draw(axes: Axes, profile: Profile, colour: str, last: bool) -> None:
    """A line with its band, its control, and a triangle where the centroid is."""
    style, width = ("-", 1.8) if last else (EARLY, 1.3)
    axes.plot(
        profile.layers, profile.accuracy, color=colour, linestyle=style, linewidth=width, marker="o", markersize=3,
        label=profile.label,
    )  # fmt: skip
    if not last:
        return
    low = [value - reach for value, reach in zip(profile.accuracy, profile.spread, strict=True)]
    high = [value + reach for value, reach in zip(profile.accuracy, profile.spread, strict=True)]
    axes.fill_between(profile.layers, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(profile.layers, profile.control, color=colour, linestyle=CONTROL, linewidth=1)
    if profile.centroid[0] is not None:
        axes.errorbar(
            [profile.centroid[0]], [0.03], xerr=[profile.centroid[1] or 0.0], color=colour, marker="^", markersize=6,
            capsize=2, transform=axes.get_xaxis_transform(),
        )  # fmt: skip


def _legend() -> list[Line2D]:
    return [
        curves.key("last checkpoint (band: ± 1 standard deviation over seeds)", "-", marker="o"),
        curves.key("first checkpoint", EARLY, marker="o"),
        curves.key("control: shuffled labels", CONTROL),
        curves.key("chance", curves.REFERENCE, "0.4"),
        curves.key("centroid (bar: ± 1 standard deviation)", "", "0.25", "^"),
    ]
