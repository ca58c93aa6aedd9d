"""Heat maps for the browser: all pairs of layers, a measure to choose, as it is or less what chance would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from service.report.asking import Answer
from service.report.charts import Chart
from service.report.interactive import for_script, layout, plain, template, told

WIDE = 0.5  # share of the page, so that cells are about square
BUTTON = {"bgcolor": "#e8eaed", "bordercolor": "#b8bcc2", "font": {"color": "#1c1e21"}}  # alike on light and dark pages
Rows = Sequence[tuple[Any, ...]]


def cells(chart: Chart, name: str, answer: Answer) -> tuple[str, str]:
    """A heat map a value of the series, of which one is seen, as JSON that may stand inside a script. Brighter is more
    alike, whichever way a measure runs; two buttons take chance off and put it back."""
    place = answer.columns.index(str(chart.series))
    groups: dict[str, list[tuple[Any, ...]]] = {}
    for row in answer.rows:
        groups.setdefault(row[place], []).append(row)
    ends = tuple(sorted(set(answer.column(column))) for column in (chart.y, chart.x))
    maps = [_heat_map(chart, answer.columns, label, rows, ends) for label, rows in groups.items()]
    for one in maps[1:]:
        one.visible = False
    canvas = go.Figure(maps, layout=layout(chart, name))
    chance = [_values(answer.columns, rows, chart.above_null, chart, ends) for rows in groups.values()]
    canvas.update_layout(updatemenus=_menus(list(groups), [one.z for one in maps], chance))
    canvas.update_layout(margin={"t": 95}, height=560, showlegend=False, xaxis_domain=[0, WIDE])
    for axis, layers in zip((canvas.layout.yaxis, canvas.layout.xaxis), ends, strict=True):
        axis.update(dtick=1 + len(layers) // 16, showgrid=False, zeroline=False)
    return for_script(canvas), ""


def _heat_map(chart: Chart, columns: Sequence[str], label: str, rows: Rows, ends: tuple[list[int], ...]) -> go.Heatmap:
    shown = [column for column in columns if column not in (chart.x, chart.y, chart.brighter_above)]
    said = _grid(columns, rows, chart, ends, lambda row: [told(row[columns.index(column)]) for column in shown])
    brighter_above = rows[0][columns.index(chart.brighter_above)]
    return go.Heatmap(
        x=ends[1],
        y=ends[0],
        z=_values(columns, rows, chart.value, chart, ends),
        name=told(label),
        customdata=said,
        hovertemplate=f"{chart.y}: %{{y}}<br>{chart.x}: %{{x}}<br>" + template(shown),
        colorscale="Viridis",
        reversescale=not brighter_above,
        colorbar={"title": {"text": told(label), "side": "right"}, "x": WIDE + 0.01, "thickness": 14},
        xgap=1,
        ygap=1,
    )


def _values(
    columns: Sequence[str], rows: Rows, column: str, chart: Chart, ends: tuple[list[int], ...]
) -> list[list[Any]]:
    return _grid(columns, rows, chart, ends, lambda row: plain(row[columns.index(column)]))


def _grid(columns: Sequence[str], rows: Rows, chart: Chart, ends: tuple[list[int], ...], of: Any) -> list[list[Any]]:
    down, across = columns.index(chart.y), columns.index(chart.x)
    found = {(row[down], row[across]): of(row) for row in rows}
    return [[found.get((first, second)) for second in ends[1]] for first in ends[0]]


def _menus(labels: Sequence[str], values: Sequence[Any], less_chance: Sequence[Any]) -> list[dict[str, Any]]:
    ways = [("value", values), ("less chance", less_chance)]
    buttons = [{"label": label, "method": "restyle", "args": [{"z": list(z)}]} for label, z in ways]
    where = {"y": 1.02, "yanchor": "bottom", "xanchor": "left", "showactive": True, **BUTTON}
    choices = [
        {"label": told(label), "method": "restyle", "args": [{"visible": [label == other for other in labels]}]}
        for label in labels
    ]
    known = any(value is not None for grid in less_chance for row in grid for value in row)
    menus = [{"type": "buttons", "direction": "right", "x": 0, "buttons": buttons, **where}] if known else []
    return [*menus, {"type": "dropdown", "x": 0.3, "buttons": choices, **where}] if len(labels) > 1 else menus
