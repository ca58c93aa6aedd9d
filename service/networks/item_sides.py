"""The two sides of an attribution: training items and targets, with what each of them is to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import BadInput
from service.networks.class_labels import LABEL, class_numbers
from service.networks.concept_labels import ItemLabels
from service.networks.concepts import LabelledConcept, find_concept
from service.networks.datasets import TextWindows
from service.networks.image_datasets import ImageItems
from service.subjects import content_id

PREVIEW = 160  # characters of a text


@dataclass(frozen=True, eq=False)
class Side:
    """Items on one side of an attribution, in ascending order. `labels` are what makes two of them alike: the sign of a concept
    (+1 where an item has it, -1 where not), or the class; `classes` what a classifier is trained to tell. Empty where nothing
    needs them."""

    items: Any
    ids: tuple[int, ...]
    labels: Mapping[int, int]
    classes: Mapping[int, int] = field(default_factory=dict)

    @property
    def values(self) -> NDArray[np.int64]:
        """The labels in the order of the ids."""
        return np.array([self.labels.get(item, 1) for item in self.ids], dtype=np.int64)

    @property
    def groups(self) -> NDArray[np.int64]:
        """The classes in the order of the ids, -1 of an item without one; the labels where there are no classes."""
        if not self.classes:
            return self.values
        return np.array([self.classes.get(item, -1) for item in self.ids], dtype=np.int64)

    @property
    def digest(self) -> str:
        """16 hex digits of what is on this side."""
        return content_id(
            "side",
            self.items.dataset.name,
            self.items.dataset.digest,
            self.ids,
            self.values.tolist(),
            sorted(self.classes.items()),
        )

    def preview(self, item: int) -> str:
        """The beginning of a text, or a picture as a ``data:`` URI."""
        if isinstance(self.items, ImageItems):
            return self.items.preview(item)
        return " ".join(self.texts[item].split())[:PREVIEW]

    @cached_property
    def texts(self) -> Mapping[int, str]:
        """The texts by item; of images there are none."""
        return dict(self.items.texts) if isinstance(self.items, TextWindows) else {}

    def some(self, count: int, seed: int) -> Side:
        """At most so many of them, the seed's draw."""
        if len(self.ids) <= count:
            return self
        drawn = np.random.default_rng(seed).choice(len(self.ids), count, replace=False)
        return replace(self, ids=tuple(self.ids[place] for place in sorted(drawn)))


def concept_side(asked: str, items: Any, ids: Sequence[int]) -> tuple[Side, LabelledConcept]:
    """The items that have a label of the concept, each with its sign. Raises UnknownName, BadInput where it is of places."""
    found = find_concept(asked, items)
    if not isinstance(found.labels, ItemLabels):
        raise BadInput(
            f"concept {found.concept.name!r} is of places in a text, and training items are whole: give one of items, such as "
            "contains:PATTERN"
        )
    signs = {item: 1 if yes else -1 for item, yes in found.labels.values.items()}
    return Side(items, tuple(sorted(set(ids) & set(signs))), signs, known_classes(items)), found


def class_side(items: Any, ids: Sequence[int], names: Mapping[str, int] | None = None) -> Side:
    """The items that have a class. Its number is that of its name among `names`, those that the network was trained on: each
    dataset by itself numbers its own. Raises BadInput where none has, UnknownName for one that `names` has not."""
    classes = known_classes(items, names)
    known = tuple(sorted(set(ids) & set(classes)))
    if not known:
        raise BadInput(f"{items.dataset.name} has no classes: the margin of the true class needs them")
    return Side(items, known, classes, classes)


def known_classes(items: Any, names: Mapping[str, int] | None = None) -> dict[int, int]:
    """The class of each item as a number, none where the dataset tells of no classes. Raises UnknownName for one that
    `names` has not."""
    try:
        items.column(LABEL)
    except BadInput:
        return {}
    return class_numbers(items, known=names)
