"""The classes of items as numbers: what classifiers are trained to tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from service.errors import UnknownName

LABEL = "label"  # the column that image classifiers are trained on


def class_numbers(items: Any, column: str = LABEL, known: Mapping[str, int] | None = None) -> dict[int, int]:
    """The class of each item as a number: that of its name among the `known` ones, which are the dataset's own `class_names` if
    None. Raises UnknownName (no such column, or a class that is not known), BadInput."""
    names = class_names(items, column) if known is None else known
    found = {item: str(value) for item, value in _classes(items, column).items()}
    for name in sorted(set(found.values()) - set(names)):
        raise UnknownName.of(f"class of {items.dataset.name}", name, names)
    return {item: names[name] for item, name in found.items()}


def class_names(items: Any, column: str = LABEL) -> dict[str, int]:
    """The number of each class by its name: whole numbers stand for themselves, names for their place in alphabetical order.
    Other items' classes have the same numbers where this is handed to `class_numbers`. Raises UnknownName, BadInput."""
    found = set(_classes(items, column).values())
    numbers = sorted(value for value in found if isinstance(value, int))
    if len(numbers) == len(found):
        return {str(number): number for number in numbers}
    return {name: number for number, name in enumerate(sorted({str(value) for value in found}))}


def _classes(items: Any, column: str) -> dict[int, int | str]:
    """What a column says of each item that it says something of: whole numbers as such, whatever their type."""
    found = {item: value for item, value in items.column(column).items() if value is not None}
    whole = (int, float, np.integer, np.floating)
    return {
        item: int(value) if isinstance(value, whole) and value == value // 1 else str(value)
        for item, value in found.items()
        if value == value  # NaN, which a column of numbers holds where it says nothing
    }
