"""Do layers live in different spaces? One page of panels for one network: what tells its layers apart, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from service.errors import BadInput
from service.report import curves
from service.report.heat_maps import MEDIUM, SMALL
from service.report.panels import Connection, step_label

ACROSS = 5
SUBJECTS = """
select model, dataset, max_by(revision, coalesce(step, -1)) from lab.layer_separability
where layer is null and from_layer = 0 group by model, dataset order by model, count(*) desc, dataset
"""
OF = "from lab.{view} where model = ? and dataset = ? and revision = ? and from_layer = 0"
BY_LAYER = f"""
select classifier, procedure, layer, accuracy, accuracy_low, accuracy_high, chance
{OF.format(view="layer_separability")} and layer is not null order by procedure, classifier desc, layer
"""
CONFUSION = f"""
select layer, predicted, share {OF.format(view="layer_confusion")}
  and classifier = 'logistic' and procedure = 'corrected' order by layer, predicted
"""
CONTRIBUTIONS = f"""
select layer, rank, contribution {OF.format(view="dimension_contributions")} and procedure = 'corrected' order by layer, rank
"""
ABLATIONS = f"""
select condition, amount, accuracy, accuracy_low, accuracy_high, chance {OF.format(view="separability_ablations")}
  and layer is null and procedure = 'corrected' and question = ? and condition not like 'dimensions %'
order by condition, amount
"""
TRANSFER = """
select condition, dataset || ' → ' || tested_on, accuracy, accuracy_low, accuracy_high, chance from lab.separability_transfer
where model = ? and contains(dataset || tested_on, ?) and revision = ? and layer is null and from_layer = 0 order by all desc
"""
SCALING = """
select length, texts, accuracy, accuracy_low, accuracy_high from lab.separability_scaling
where model = ? and split_part(dataset, '[', 1) = split_part(?, '[', 1) and revision = ?
  and layer is null and from_layer = 0 order by length, texts
"""
TRAINING = """
select step, accuracy, accuracy_low, accuracy_high, chance from lab.layer_separability
where model = ? and dataset = ? and ? is not null and from_layer = 0 and layer is null and classifier = 'logistic'
  and procedure = 'corrected' and step is not null order by step
"""
BLUE, RED = curves.DISTINCT[:2]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Subject:
    """A network at its last checkpoint, on one dataset."""

    connection: Connection
    model: str
    dataset: str
    revision: str

    def rows(self, query: str, *more: Any) -> list[Row]:
        """The answer about it."""
        found: list[Row] = self.connection.execute(query, [self.model, self.dataset, self.revision, *more]).fetchall()
        return found


def separability_figure(
    connection: Connection, models: Sequence[str] | None = None, datasets: Sequence[str] | None = None
) -> Figure:
    """One block of panels for each model, on the dataset that most was asked on unless `datasets` names it; panels for which
    nothing was asked are left out. Raises BadInput where there is nothing to draw."""
    found: dict[str, Subject] = {}
    for model, dataset, revision in connection.execute(SUBJECTS).fetchall():
        if (models and model not in models) or (datasets and dataset not in datasets):
            continue
        found.setdefault(model, Subject(connection, model, dataset, revision))
    if not found:
        among = f" for {', '.join(map(repr, [*(models or ()), *(datasets or ())]))}" if models or datasets else ""
        raise BadInput(f"there is no separability to draw{among}: run `isoscope separate` first")
    blocks = [(subject, _panels(subject)) for subject in found.values()]
    rows = [-(-len(panels) // ACROSS) for _, panels in blocks]
    canvas = Figure(figsize=(4.2 * ACROSS, 3.7 * sum(rows) + 0.4 * len(blocks)), layout="constrained")
    parts = canvas.subfigures(len(blocks), 1, height_ratios=rows, squeeze=False)
    for part, (subject, panels), down in zip(parts[:, 0], blocks, rows, strict=True):
        part.suptitle(f"Can a state's layer be told? {subject.model} on {subject.dataset}", fontsize=12)
        for place, draw in enumerate(panels):
            draw(part.add_subplot(down, ACROSS, place + 1))
    return canvas


def _panels(subject: Subject) -> list[Callable[[Axes], None]]:
    """What there is to draw of a subject."""
    asked: list[tuple[Callable[[Axes, list[Row]], None], list[Row], int]] = [
        (_by_layer, subject.rows(BY_LAYER), 1),
        (_confusion, subject.rows(CONFUSION), 1),
        (_contributions, subject.rows(CONTRIBUTIONS), 1),
        (_masking, subject.rows(ABLATIONS, "masking"), 1),
        (_norm, subject.rows(ABLATIONS, "norm"), 1),
        (_transfer, subject.rows(TRANSFER), 1),
        (_projection, subject.rows(ABLATIONS, "projection"), 1),
        (_scaling, subject.rows(SCALING), 1),
        (_training, subject.rows(TRAINING), 2),
    ]
    return [_drawn(draw, rows) for draw, rows, least in asked if len(rows) >= least]


def _drawn(draw: Callable[[Axes, list[Row]], None], rows: list[Row]) -> Callable[[Axes], None]:
    return lambda axes: draw(axes, rows)


def _finish(axes: Axes, title: str, x: str, chance: float | None = None) -> None:
    if chance is not None:
        axes.axhline(chance, color="0.4", linestyle=curves.REFERENCE, linewidth=1, label="chance")
        axes.set_ylim(0, 1.03)
    curves.finish(axes, "accuracy", title)
    axes.set_xlabel(x, fontsize=SMALL)
    curves.name_lines(axes)


def _line(axes: Axes, rows: Sequence[Row], **style: Any) -> None:
    """Rows of (x, value, low, high) with their intervals."""
    values = np.array([row[:4] for row in rows], dtype=float)
    reach = np.nan_to_num(np.abs(values[:, 2:] - values[:, 1:2])).T
    axes.errorbar(values[:, 0], values[:, 1], yerr=reach, markersize=4, capsize=2, elinewidth=1, **style)


def _by_layer(axes: Axes, rows: list[Row]) -> None:
    kinds = list(dict.fromkeys(row[:2] for row in rows))
    for place, (classifier, procedure) in enumerate(kinds):
        mine = [row[2:6] for row in rows if row[:2] == (classifier, procedure)]
        label = classifier if procedure == "corrected" else f"{classifier}, {procedure}"
        style = "-" if procedure == "corrected" else curves.NOT_FIRST
        _line(axes, mine, color=curves.DISTINCT[place], marker=curves.MARKERS[place], linestyle=style, label=label)
    _finish(axes, "accuracy by layer, texts held out", "layer", rows[0][6])
    axes.set_xticks(sorted({row[2] for row in rows}))


def _confusion(axes: Axes, rows: list[Row]) -> None:
    layers = sorted({row[0] for row in rows})
    shares = np.array([row[2] for row in rows], dtype=float).reshape(len(layers), len(layers))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(layers) <= 13:
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.5 else "black"
            text = f"{100 * share:.0f}" if share >= 0.005 else ""
            axes.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=colour)
    ticks = range(0, len(layers), max(1, len(layers) // 12))
    axes.set_xticks(ticks, [str(layers[tick]) for tick in ticks], fontsize=SMALL)
    axes.set_yticks(ticks, [str(layers[tick]) for tick in ticks], fontsize=SMALL)
    axes.set_xlabel("taken for layer", fontsize=SMALL)
    axes.set_ylabel("of layer", fontsize=SMALL)
    axes.set_title("confusion, per cent of a layer", fontsize=MEDIUM, loc="left")


def _contributions(axes: Axes, rows: list[Row]) -> None:
    layers = sorted({row[0] for row in rows})
    colours = curves.matplotlib.colormaps["plasma"](np.linspace(0, 0.9, len(layers)))
    for layer, colour in zip(layers, colours, strict=True):
        shares = np.array([row[2] for row in rows if row[0] == layer], dtype=float)
        part = np.arange(1, len(shares) + 1) / len(shares)
        axes.plot(100 * part, np.cumsum(shares), color=colour, linewidth=1.2, label=f"layer {layer}")
    cut = np.linspace(0, 3.5, 200)  # sizes of Gaussian weights above which a dimension counts
    tail = np.array([_above(size) for size in cut])
    axes.plot(100 * tail, 100 * np.exp(-(cut**2) / 2), color="black", linestyle="--", label="Gaussian weights")
    for level in (50, 90):
        axes.axhline(level, color="0.7", linewidth=0.7)
    curves.finish(axes, "per cent of the decision", "contribution of the top dimensions")
    axes.set_xlabel("per cent of the dimensions", fontsize=SMALL)
    axes.legend(fontsize=SMALL - 1, frameon=False, loc="lower right", ncols=1 + len(layers) // 8)


def _above(size: float) -> float:
    from math import erfc, sqrt

    return erfc(size / sqrt(2))


def _masking(axes: Axes, rows: list[Row]) -> None:
    styles = {"mean": "-", "zero": ":", "retrained": "--"}
    for condition in sorted({row[0] for row in rows}, reverse=True):
        kind, _, way = condition.partition(", ")
        mine = [row[1:5] for row in rows if row[0] == condition]
        colour, marker = (RED, "o") if kind.startswith("top") else ("0.4", "s")
        _line(axes, mine, color=colour, marker=marker, linestyle=styles[way], linewidth=1.3, label=f"{kind}: {way}")
    axes.set_xscale("log")
    _finish(axes, "without the top dimensions", "dimensions masked", rows[0][5])
    amounts = sorted({int(row[1]) for row in rows})
    axes.set_xticks(amounts, [str(amount) for amount in amounts])
    axes.xaxis.set_minor_locator(NullLocator())


def _bars(axes: Axes, rows: Sequence[Row], title: str, chance: float) -> None:
    """Rows of (name, accuracy, low, high) as bars that lie."""
    places = np.arange(len(rows))[::-1]
    values = np.array([row[1] for row in rows], dtype=float)
    low, high = (np.array([row[place] for row in rows], dtype=float) for place in (2, 3))
    reach = np.nan_to_num(np.stack([values - low, high - values])).clip(min=0)
    axes.barh(places, values, xerr=reach, color=BLUE, alpha=0.75, height=0.6, error_kw={"elinewidth": 1, "capsize": 2})
    for place, row in zip(places, rows, strict=True):
        axes.text(0.015, place + 0.33, f"{row[0]}: {row[1]:.3f}", va="bottom", fontsize=SMALL - 1)
    axes.axvline(chance, color="0.4", linestyle=curves.REFERENCE, linewidth=1)
    axes.set_yticks([])
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(rows) - 0.2)
    curves.finish(axes, "", title)
    axes.set_xlabel("accuracy (dashed: chance)", fontsize=SMALL)


def _norm(axes: Axes, rows: list[Row]) -> None:
    ordered = sorted(rows, key=lambda row: -row[2])
    _bars(axes, [(row[0], *row[2:5]) for row in ordered], "is it only the norm?", rows[0][5])


def _transfer(axes: Axes, rows: list[Row]) -> None:
    order = ("held-out texts", "without punctuation", "another dataset", "trained on the mixture")
    ordered = sorted(rows, key=lambda row: (order.index(row[0]), row[1]))
    _bars(axes, [(row[1], *row[2:5]) for row in ordered], "trained on → tested on", rows[0][5])


def _projection(axes: Axes, rows: list[Row]) -> None:
    _line(axes, [row[1:5] for row in rows], color=BLUE, marker="o")
    _finish(axes, "on the weights' principal directions", "directions kept", rows[0][5])


def _scaling(axes: Axes, rows: list[Row]) -> None:
    lengths = sorted({row[0] for row in rows})
    for place, length in enumerate(lengths):
        mine = [row[1:] for row in rows if row[0] == length]
        _line(axes, mine, color=curves.DISTINCT[place % 7], marker=curves.MARKERS[place % 7], label=f"{length} tokens")
    _finish(axes, "accuracy against texts and tokens", "texts")


def _training(axes: Axes, rows: list[Row]) -> None:
    _line(axes, [row[:4] for row in rows], color=BLUE, marker="o", label="logistic")
    _finish(axes, "when do the layers part?", "training step", rows[0][4])
    curves.scale_steps(axes, [row[0] for row in rows])
    axes.set_xlabel(f"training step, to {step_label(rows[-1][0])}", fontsize=SMALL)
