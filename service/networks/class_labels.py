"""The classes of items as numbers: what classifiers are trained to tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PretrainedConfig

from service.errors import UnknownName
from service.networks.loading import UNLOADABLE

LABEL = "label"  # the column that image classifiers are trained on
UNNAMED = re.compile(r"LABEL_\d+")  # what transformers calls a class that nobody named


def class_numbers(items: Any, column: str = LABEL, known: Mapping[str, int] | None = None) -> dict[int, int]:
    """The class of each item as a number: that of its name among the `known` ones, which are the dataset's own `class_names` if
    None. Raises UnknownName (no such column, or a class that is not known), BadInput."""
    names = class_names(items, column) if known is None else known
    found = {item: str(value) for item, value in _classes(items, column).items()}
    for name in sorted(set(found.values()) - set(names)):
        raise UnknownName.of(f"class of {items.dataset.name}", name, names)
    return {item: names[name] for item, name in found.items()}


def class_names(items: Any, column: str = LABEL, told: Mapping[str, int] | None = None) -> dict[str, int]:
    """The number of each class by its name. Whole numbers stand for themselves; names for the classes that a network calls so,
    which are `told`, or for their place in alphabetical order where it names none. Other items' classes have the same numbers
    where this is handed to `class_numbers`. Raises UnknownName (also of a class that the network does not have), BadInput."""
    found = set(_classes(items, column).values())
    numbers = sorted(value for value in found if isinstance(value, int))
    if len(numbers) == len(found):
        return {str(number): number for number in numbers}
    names = sorted({str(value) for value in found})
    if told is None:
        return {name: number for number, name in enumerate(names)}
    for name in names:
        if name not in told:
            raise UnknownName.of("class of the network", name, told)
    return dict(told)


def told_classes(location: str, revision: str | None = None) -> dict[str, int] | None:
    """The classes that the configuration in a folder or on the hub names, by each of their names (``tabby, tabby cat`` has
    three); None where it names none. What two classes are called names neither, unless it is the whole name of one."""
    try:
        said, _ = PretrainedConfig.get_config_dict(location, revision=revision)
    except UNLOADABLE:
        return None
    whole = {int(number): str(name) for number, name in (said.get("id2label") or {}).items()}
    if not whole or any(UNNAMED.fullmatch(name) for name in whole.values()):
        return None
    parts = [(part.strip(), number) for number, name in whole.items() for part in name.split(",")]
    return _once(parts) | _once([(name, number) for number, name in whole.items()])


def _once(named: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Those of the names that one number alone has."""
    counts = Counter(name for name, _ in set(named))
    return {name: number for name, number in named if counts[name] == 1}


def _classes(items: Any, column: str) -> dict[int, int | str]:
    """What a column says of each item that it says something of: whole numbers as such, whatever their type."""
    found = {item: value for item, value in items.column(column).items() if value is not None}
    whole = (int, float, np.integer, np.floating)
    return {
        item: int(value) if isinstance(value, whole) and value == value // 1 else str(value)
        for item, value in found.items()
        if value == value  # NaN, which a column of numbers holds where it says nothing
    }
