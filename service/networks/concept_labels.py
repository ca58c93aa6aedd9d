"""The labels of a concept: a yes or no at every place, or one for each item."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from service.subjects import Dataset


class LabelledItems(Protocol):
    """What a concept is over: any dataset with ids of its items, and columns where its file has them."""

    @property
    def dataset(self) -> Dataset: ...

    @property
    def item_ids(self) -> Sequence[int]: ...

    def column(self, name: str) -> dict[int, object]:
        """What a column of the dataset's file holds for each item. Raises UnknownName, BadInput."""
        ...


class Labels(Protocol):
    """A yes or no at places. `items` have a label; `positives` and `negatives` have a positive and a negative place."""

    @property
    def items(self) -> int: ...

    @property
    def positives(self) -> int: ...

    @property
    def negatives(self) -> int: ...

    @property
    def digest(self) -> str: ...

    def of(self, item_id: Int[Tensor, " points"], char_end: Int[Tensor, " points"]) -> Bool[Tensor, " points"]:
        """Whether each place is positive; False where it has no label."""
        ...

    def known(self, item_id: Int[Tensor, " points"]) -> Bool[Tensor, " points"]:
        """Whether each place has a label."""
        ...


@dataclass(frozen=True, eq=False)
class ItemLabels:
    """One label an item, the same at all of its places; items that are not in `values` have none."""

    values: Mapping[int, bool]

    @property
    def items(self) -> int:
        """Items with a label."""
        return len(self.values)

    @property
    def positives(self) -> int:
        """Items whose label is yes."""
        return sum(self.values.values())

    @property
    def negatives(self) -> int:
        """Items whose label is no."""
        return self.items - self.positives

    @property
    def digest(self) -> str:
        """16 hex digits of every item's label."""
        return hashlib.sha256(repr(sorted(self.values.items())).encode()).hexdigest()[:16]

    def of(self, item_id: Int[Tensor, " points"], char_end: Int[Tensor, " points"]) -> Bool[Tensor, " points"]:
        """The label of each place's item."""
        return torch.tensor([self.values.get(item, False) for item in item_id.tolist()], dtype=torch.bool)

    def known(self, item_id: Int[Tensor, " points"]) -> Bool[Tensor, " points"]:
        """Whether each place's item has a label."""
        return torch.tensor([item in self.values for item in item_id.tolist()], dtype=torch.bool)
