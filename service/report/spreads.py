"""How far values may be from the truth, for the browser: bars and bands of Plotly, and lines set beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from matplotlib.colors import to_rgb

ERRORS = 2  # standard errors that a bar reaches to either side
ASIDE = 0.008  # of the width of the axis between lines that stand beside each other
Values = Sequence[float | None]
Ends = tuple[float, float] | None


def bars(
    error: Values | None, low: Values | None, high: Values | None, values: Values, ends: Ends = None
) -> dict[str, Any]:
    """Bars of standard errors, or to both ends of intervals, none of them beyond `ends`; nothing where nothing is known."""
    if error is not None:
        return {"type": "data", "array": [ERRORS * value if value is not None else 0 for value in error], "width": 0}
    if low is None or high is None:
        return {}
    above = [_gap(top, value) for top, value in zip(clipped(high, ends), values, strict=True)]
    below = [_gap(value, bottom) for value, bottom in zip(values, clipped(low, ends), strict=True)]
    return {"type": "data", "array": above, "arrayminus": below, "symmetric": False, "width": 3}


def band(line: go.Scatter, low: Values, high: Values, ends: Ends = None) -> go.Scatter:
    """The area between the ends of the intervals of a line, where they are known; it comes and goes with its line."""
    edges = zip(line.x, clipped(low, ends), clipped(high, ends), strict=True)
    known = [one for one in edges if one[1] is not None and one[2] is not None]
    back = known[::-1]
    red, green, blue = (round(255 * part) for part in to_rgb(line.line.color))
    return go.Scatter(
        x=[one[0] for one in known + back],
        y=[*(one[2] for one in known), *(one[1] for one in back)],
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, 0.15)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        legendgroup=line.legendgroup,
    )


def set_aside(lines: Sequence[go.Scatter]) -> None:
    """Move lines a little apart along the axis, so that bars at the same place are all seen."""
    places = [place for line in lines for place in line.x]
    step = ASIDE * (max(places) - min(places))
    for turn, line in enumerate(lines):
        line.x = [place + step * (turn - (len(lines) - 1) / 2) for place in line.x]


def clipped(values: Values, ends: Ends) -> list[float | None]:
    """Values, no further than both ends."""
    low, high = ends or (float("-inf"), float("inf"))
    return [None if value is None else min(max(value, low), high) for value in values]


def _gap(upper: float | None, lower: float | None) -> float:
    return 0.0 if upper is None or lower is None else max(upper - lower, 0.0)
