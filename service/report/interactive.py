"""Figures for the browser: an answer's rows as traces of Plotly, which zooms and names the point under the mouse."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import to_hex

from service.report.asking import Answer
from service.report.charts import Chart
from service.report.curves import DISTINCT
from service.report.panels import thinned
from service.report.spreads import band, bars, set_aside

MOST_LINES = 24
NAMED_ALONE = (None, "model", "map", "stitch", "line", "removal", "method")  # series whose values say what they are
SHUFFLED = " (time-shuffled)"


def drawn(chart: Chart, name: str, answer: Answer) -> tuple[str, str]:
    """The figure as JSON that may stand inside a script, and what was left out of it, in words."""
    groups = _groups(chart, answer)
    shown = thinned(len(groups), MOST_LINES)
    canvas = go.Figure(layout=layout(chart, name))
    colours = _colours([groups[place][0] for place in shown])
    for place, colour in zip(shown, colours, strict=True):
        label, rows = groups[place]
        canvas.add_traces(_traces(chart, answer, label, rows, colour))
    if chart.aside:
        set_aside(canvas.data)
    if chart.reference:
        canvas.add_traces(_reference(chart, answer))
    for column, update in ((chart.x, canvas.update_xaxes), (chart.y, canvas.update_yaxes)):
        words = [value for value in answer.column(column) if isinstance(value, str)]
        if words:  # else in the order in which the lines come upon them
            update(type="category", categoryorder="array", categoryarray=list(dict.fromkeys(words)))
    if chart.marks:
        canvas.add_trace(_marks(chart, answer))
    left = len(groups) - len(shown)
    return for_script(canvas), f"{left} lines between those shown are left out." if left else ""


def _groups(chart: Chart, answer: Answer) -> list[tuple[Any, list[tuple[Any, ...]]]]:
    """The rows of each line: one a value of the series, in the order of values."""
    if chart.series is None:
        return [(chart.y, list(answer.rows))]
    place = answer.columns.index(chart.series)
    found: dict[Any, list[tuple[Any, ...]]] = {}
    for row in answer.rows:
        if not chart.reference or row[place] != chart.reference:
            found.setdefault(row[place], []).append(row)
    return sorted(found.items(), key=lambda group: (group[0] is None, group[0] if group[0] is not None else 0))


def _colours(labels: Sequence[Any]) -> list[str]:
    """Numbers from light to dark, in an order that every kind of colour vision sees; a few lines or names distinct."""
    if len(labels) > len(DISTINCT) - 1 and all(isinstance(label, int | float) for label in labels):
        return [to_hex(colour) for colour in matplotlib.colormaps["plasma_r"](np.linspace(0.15, 0.95, len(labels)))]
    return [DISTINCT[place % (len(DISTINCT) - 1)] for place in range(len(labels))]


def _traces(chart: Chart, answer: Answer, label: Any, rows: Sequence[tuple[Any, ...]], colour: str) -> list[go.Scatter]:
    """A line with its bars, or its band and the line above it."""

    def column(name: str | None) -> list[Any] | None:
        return None if name is None else [plain(row[answer.columns.index(name)]) for row in rows]

    shown = "no step" if label is None else html.escape(str(label))
    line = go.Scatter(
        x=column(chart.x),
        y=column(chart.y),
        name=shown if chart.series in NAMED_ALONE else f"{chart.series} {shown}",
        mode="markers" if chart.kind == "points" else "lines+markers",
        line={"color": colour, "width": 1.6, "dash": "dash" if shown == chart.dashed else None},
        marker={"color": colour, "size": 9 if chart.kind == "points" else 5},
        customdata=[[told(value) for value in row] for row in rows],
        hovertemplate=template(answer.columns),
    )
    error, low, high = (column(name) for name in (chart.error, chart.low, chart.high))
    if chart.band:
        line.legendgroup = shown
        return [band(line, low or [], high or [], chart.clipped), line]
    spread = bars(error, low, high, line.x if _sideways(chart) else line.y, chart.clipped)
    if spread:
        line["error_x" if _sideways(chart) else "error_y"] = {**spread, "color": colour, "thickness": 1}
    return [line]


def _sideways(chart: Chart) -> bool:
    return chart.kind == "points"


def _reference(chart: Chart, answer: Answer) -> list[go.Scatter]:
    """The level that the lines are compared with, where there is one."""
    place = answer.columns.index(str(chart.series))
    rows = [row for row in answer.rows if row[place] == chart.reference]
    lines = _traces(replace(chart, band=False, low=None, high=None), answer, chart.reference, rows, "#888888")
    return [line.update(mode="lines", line_dash="dot") for line in lines if rows]


def _marks(chart: Chart, answer: Answer) -> go.Scatter:
    flagged = [row for row in answer.rows if row[answer.columns.index(str(chart.marks))]]
    x, y = answer.columns.index(chart.x), answer.columns.index(chart.y)
    return go.Scatter(
        x=[row[x] for row in flagged],
        y=[row[y] for row in flagged],
        name=chart.marks,
        mode="markers",
        marker={"symbol": "x", "size": 11, "color": DISTINCT[1]},
        customdata=[[told(value) for value in row] for row in flagged],
        hovertemplate=template(answer.columns),
    )


def template(columns: Sequence[str]) -> str:
    """Every column of the row under the mouse."""
    return "<br>".join(f"{name}: %{{customdata[{place}]}}" for place, name in enumerate(columns)) + "<extra></extra>"


def told(value: Any) -> str:
    """A value as it is shown under the mouse."""
    value = plain(value)
    if value is None:
        return "unknown"
    return f"{value:.5g}" if isinstance(value, float) else html.escape(str(value))


def plain(value: Any) -> Any:
    """A value that JSON has: None for what is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def layout(chart: Chart, name: str) -> dict[str, Any]:
    """Title, axes and margins of a figure."""
    title = f"{chart.title}: {name}" if name else chart.title
    shapes = []
    if chart.level is not None:
        axis = {"x0": chart.level, "x1": chart.level, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}
        if not _sideways(chart):
            axis = {"y0": chart.level, "y1": chart.level, "x0": 0, "x1": 1, "xref": "paper", "yref": "y"}
        shapes.append({"type": "line", **axis, "line": {"color": "#888", "dash": "dash", "width": 1}})
    return {
        "title": {"text": html.escape(title), "font": {"size": 15}, "x": 0.01, "xanchor": "left"},
        "xaxis": {
            "title": {"text": chart.x_title},
            "type": "log" if chart.logarithmic == "x" else None,
            "automargin": True,
        },
        "yaxis": {
            "title": {"text": chart.y_title},
            "type": "log" if chart.logarithmic == "y" else None,
            "automargin": True,
        },
        "shapes": shapes,
        "template": go.layout.Template(),
        "hovermode": "closest",
        "showlegend": chart.series is not None or bool(chart.marks),
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "height": 420,
    }


def for_script(canvas: go.Figure) -> str:
    """JSON in which no name of a model can end the script that it stands in."""
    return in_script(json.loads(canvas.to_json()))


def in_script(value: object) -> str:
    """Any value as JSON without the letters that HTML gives a meaning."""
    text = json.dumps(value, default=str, allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
