"""What the table of measures holds of those that a run recorded values of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.measures import LayerMeasure, PairMeasure
from service.measures.declaration import Declared

COLUMNS = ("version", "subject", "unit", "lower", "upper", "source", "std_error")
OF_PAIRS = ("symmetric", "larger_is_more_alike")


def measure_rows(measures: Iterable[LayerMeasure | PairMeasure | Declared]) -> list[dict[str, Any]]:
    """A row of each; what only a measure of pairs can say is NULL of others."""
    return [
        {
            "measure": one.name,
            **{column: getattr(one, column) for column in COLUMNS},
            **{column: getattr(one, column, None) for column in OF_PAIRS},
        }
        for one in measures
    ]
