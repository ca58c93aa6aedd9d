"""The map of many networks: points are their layers, near each other where the layers are alike."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from service.errors import BadInput
from service.report import curves
from service.report.asking import conditions, literal, with_where
from service.report.heat_maps import SMALL
from service.report.network_distances import DISTANCES
from service.report.network_map import NetworkMap, Plane, network_map
from service.report.panels import Connection

MOST_DATASETS = 4
MOST_NETWORKS = len(curves.DISTINCT) * len(curves.MARKERS)  # a colour with a marker for each
SIDE = 7.0  # inches of the plane of all layers; where each layer has one they are smaller
LETTER = 0.6  # width of a digit over its size in points
DIRECTIONS = [(np.cos(turn), np.sin(turn)) for turn in np.pi / 4 * np.arange(1, 9)]
Names = Sequence[str] | None
Pixels = NDArray[np.float64]  # a place, or two corners of a box


class Style(NamedTuple):
    """How a network is drawn, on every plane and page."""

    colour: str
    marker: str


def styles(names: Sequence[str]) -> dict[str, Style]:
    """A colour and a marker for each network, no two alike. Raises BadInput for more than there are."""
    if len(names) > MOST_NETWORKS:
        raise BadInput(f"a map holds {MOST_NETWORKS} networks; {len(names)} were compared: name fewer models")
    colours, markers = curves.DISTINCT, curves.MARKERS
    round_of = len(colours)
    return {
        name: Style(colours[place % round_of], markers[(place + place // round_of) % len(markers)])
        for place, name in enumerate(names)
    }


def map_figure(connection: Connection, models: Names = None, datasets: Names = None) -> Figure:
    """A map a dataset, of the networks among `models` where named, at their newest checkpoints: a line joins the layers of a
    network, its hollow end is layer 0. Raises BadInput where no map can be drawn, naming the comparisons that are missing."""
    found = _maps(connection, models, datasets)
    across = max(len(one.planes) for one in found.values())
    width = SIDE if across == 1 else 0.6 * SIDE * across
    height = 1.1 * SIDE if across == 1 else 0.78 * SIDE
    canvas = Figure(figsize=(width, height * len(found)), layout="constrained")
    parts = canvas.subfigures(len(found), 1, squeeze=False)[:, 0]
    shown = [_draw(part, dataset, one, width) for part, (dataset, one) in zip(parts, found.items(), strict=True)]
    canvas.draw_without_rendering()  # only now it is known where the points lie
    for axes, plane, looks in (panel for panels in shown for panel in panels):
        if plane.layer is None:
            _number(axes, plane, looks)
    return canvas


def _maps(connection: Connection, models: Names, datasets: Names) -> dict[str, NetworkMap]:
    common = conditions({"model": models or (), "dataset": datasets or ()}, ("model_a", "model_b", "dataset"))
    where = " and ".join(["positions = 'all' and value is not null", *common])
    asked = f"select distinct dataset from lab.network_dissimilarity where {where} order by dataset"
    found: dict[str, NetworkMap] = {}
    refused = _nothing([*(models or ()), *(datasets or ())])
    for (dataset,) in connection.execute(asked).fetchall():
        rows = connection.execute(with_where(DISTANCES, [*common, f"dataset = {literal(dataset)}"])).fetchall()
        try:
            found |= {dataset: network_map(rows)} if rows else {}
        except BadInput as error:
            refused = error
    if not found:
        raise refused
    if len(found) > MOST_DATASETS:
        raise BadInput(f"a figure holds the maps of {MOST_DATASETS} datasets; {len(found)} have rows: name fewer")
    return found


def _nothing(named: Sequence[str]) -> BadInput:
    among = f" for {', '.join(map(repr, named))}" if named else ""
    return BadInput(f"there is no map to draw{among}: run `isoscope compare A B --measure procrustes_angular` first")


def _draw(part: SubFigure, dataset: str, found: NetworkMap, width: float) -> list[tuple[Axes, Plane, dict[str, Style]]]:
    letters = int(11 * width)
    part.suptitle(textwrap.fill(f"Networks by {found.measure} on {dataset}", letters), fontsize=12)
    looks = styles(list(found.names))
    panels = []
    for place, (plane, window) in enumerate(zip(found.planes, found.windows, strict=True)):
        axes = part.add_subplot(1, len(found.planes), place + 1)
        _draw_plane(axes, plane, looks)
        axes.set(xlim=window[0], ylim=window[1], aspect="equal")
        panels.append((axes, plane, looks))
    together = found.planes[0].layer is None
    entries = [
        curves.key(found.names[network], "-" if together else "", look.colour, look.marker)
        for network, look in looks.items()
    ]
    if together:
        entries.append(curves.key("layer 0", "", "0.25", "o"))
        entries[-1].set_markerfacecolor("white")
    columns = max(1, int(letters // (8 + max(len(str(entry.get_label())) for entry in entries))))
    note = textwrap.fill(found.note, letters) or None
    below = {"title": note, "title_fontsize": SMALL, "fontsize": SMALL, "frameon": False, "ncols": columns}
    part.legend(handles=entries, loc="outside lower center", **below)
    return panels


def _draw_plane(axes: Axes, plane: Plane, looks: dict[str, Style]) -> None:
    for network, (colour, marker) in looks.items():
        layers, x, y = zip(*plane.of(network), strict=True)
        faces = ["white" if layer == 0 and plane.layer is None else colour for layer in layers]
        axes.plot(x, y, color=colour, linewidth=1.2, alpha=0.7, zorder=2)
        axes.scatter(x, y, c=faces, edgecolors=colour, marker=marker, s=42, linewidths=1.3, zorder=3)
    axes.locator_params(nbins=6)
    curves.finish(axes, "", textwrap.fill(plane.said, 34 if plane.layer is not None else 80))


def _number(axes: Axes, plane: Plane, looks: dict[str, Style]) -> None:
    """The layers' numbers beside their points, where one finds room: those of last layers first."""
    places = axes.transData.transform(np.array(plane.places))
    pixel = axes.figure.dpi / 72
    taken = [_box(place, 5 * pixel, 5 * pixel) for place in places]
    last = {network: max(layer for own, layer in plane.sites if own == network) for network in looks}
    found = zip(plane.sites, places, strict=True)
    for (network, layer), place in sorted(found, key=lambda one: last[one[0][0]] != one[0][1]):
        width = 0.5 * LETTER * SMALL * (0.5 + len(str(layer)))
        centre = _room(place, width * pixel, 0.5 * SMALL * pixel, 6 * pixel, taken)
        if centre is not None:
            x, y = axes.transData.inverted().transform(centre)
            axes.text(x, y, str(layer), color=looks[network].colour, fontsize=SMALL, ha="center", va="center")


def _room(place: Pixels, width: float, height: float, gap: float, taken: list[Pixels]) -> Pixels | None:
    """The middle of a free box at a point, which is then taken; None where there is no room. Width and height are halves."""
    for right, up in DIRECTIONS:
        centre = place + np.array([right * (gap + width), up * (gap + height)])
        box = _box(centre, width, height)
        if not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return centre
    return None


def _box(centre: Pixels, width: float, height: float) -> Pixels:
    half = np.array([width, height])
    return np.array([centre - half, centre + half])


def _overlap(one: Pixels, other: Pixels) -> bool:
    return bool((one[0] < other[1]).all() and (other[0] < one[1]).all())
