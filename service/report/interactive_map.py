"""The map of many networks for the browser: the same planes as the figure's, each point named under the mouse."""

from __future__ import annotations

import html
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from service.errors import BadInput
from service.report.asking import Answer
from service.report.charts import Chart
from service.report.interactive import for_script, layout
from service.report.map_figure import Style, styles
from service.report.network_map import NetworkMap, Plane, network_map

SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
}
ACROSS, HEIGHT = 2, 620


def interactive_map(chart: Chart, name: str, answer: Answer) -> tuple[str, str]:
    """The map of the answer's networks as JSON that may stand inside a script, and who is left out of it. Raises BadInput
    where no map can be drawn, naming the comparisons that are missing."""
    if answer.total > len(answer.rows):
        raise BadInput(f"{answer.total:,} distances are more than a page holds: name fewer models")
    found = network_map(answer.rows)
    across = min(ACROSS, len(found.planes))
    down = -(-len(found.planes) // across)
    canvas = make_subplots(down, across, subplot_titles=[plane.said for plane in found.planes], vertical_spacing=0.12)
    canvas.update_layout(layout(chart, f"{name}, {found.measure}"))
    _add_planes(canvas, found)
    height = HEIGHT if across == 1 else 0.75 * HEIGHT * down
    canvas.update_layout(showlegend=True, height=height, margin={"t": 80})
    canvas.update_annotations(font_size=13 if across == 1 else 11)
    return for_script(canvas), f"{found.note}." if found.note else ""


def _add_planes(canvas: go.Figure, found: NetworkMap) -> None:
    looks = styles(list(found.names))
    for index, (plane, window) in enumerate(zip(found.planes, found.windows, strict=True)):
        place = {"row": 1 + index // ACROSS, "col": 1 + index % ACROSS}
        for network, look in looks.items():
            trace = _trace(plane, network, found.names[network], look)
            canvas.add_trace(trace.update(showlegend=index == 0), **place)
        anchor = f"x{index + 1}" if index else "x"
        canvas.update_xaxes(range=window[0], constrain="domain", automargin=True, **place)
        canvas.update_yaxes(range=window[1], constrain="domain", scaleanchor=anchor, automargin=True, **place)


def _trace(plane: Plane, network: str, name: str, look: Style) -> go.Scatter:
    layers, x, y = zip(
        *reversed(plane.of(network)), strict=True
    )  # the legend shows the first point: not the hollow one
    symbol = SYMBOLS[look.marker]
    marker: dict[str, Any] = {"color": look.colour, "size": 10, "symbol": symbol}
    if plane.layer is None:
        marker["symbol"] = [f"{symbol}-open" if layer == 0 else symbol for layer in layers]
    return go.Scatter(
        x=x,
        y=y,
        name=html.escape(name),
        legendgroup=html.escape(network),
        mode="lines+markers",
        line={"color": look.colour, "width": 1.6},
        marker=marker,
        customdata=layers,
        hovertemplate=f"{html.escape(name)}<br>layer %{{customdata}}<extra></extra>",
    )
