"""Concepts of texts: where a string ends, where a regular expression matches, and which texts it matches in."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from service.errors import BadInput
from service.networks.concept_labels import ItemLabels, LabelledItems, Labels

EXAMPLES = {"token": "'token: the'", "regex": "regex:[0-9]+", "contains": "contains:return"}


@dataclass(frozen=True, eq=False)
class PlaceLabels:
    """One label a place: positive where the token that ends there has its last character in a match of `pattern`, or,
    with `at_end` alone, the last one of a match."""

    texts: Mapping[int, str]
    pattern: re.Pattern[str]
    at_end: bool
    text_digest: str

    @property
    def items(self) -> int:
        """Texts, all of which have labels."""
        return len(self.texts)

    @cached_property
    def positives(self) -> int:
        """Texts in which there is a match."""
        return sum(self.pattern.search(text) is not None for text in self.texts.values())

    @cached_property
    def negatives(self) -> int:
        """Texts in which there is something else than matches."""
        return sum(sum(end - start for start, end in self._spans(text)) < len(text) for text in self.texts.values())

    @property
    def digest(self) -> str:
        """16 hex digits of what decides the labels: the texts and the pattern."""
        said = repr((self.text_digest, self.pattern.pattern, self.at_end))
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def of(self, item_id: Int[Tensor, " points"], char_end: Int[Tensor, " points"]) -> Bool[Tensor, " points"]:
        """Whether each place is positive."""
        spans = {item: self._spans(self.texts[item]) for item in item_id.unique().tolist()}
        places = zip(item_id.tolist(), char_end.tolist(), strict=True)
        return torch.tensor([self._inside(spans[item], end) for item, end in places], dtype=torch.bool)

    def known(self, item_id: Int[Tensor, " points"]) -> Bool[Tensor, " points"]:
        """Every place has a label."""
        return torch.ones(len(item_id), dtype=torch.bool)

    def _spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self.pattern.finditer(text)]

    def _inside(self, spans: list[tuple[int, int]], end: int) -> bool:
        place = bisect_left(spans, (end,)) - 1  # the last match that starts before it
        return place >= 0 and (end == spans[place][1] if self.at_end else end <= spans[place][1])


def _texts(items: LabelledItems, kind: str) -> dict[int, str]:
    """The texts by item. Raises BadInput for a dataset that has none."""
    found = getattr(items, "texts", None)
    if found is None:
        raise BadInput(f"{kind}: is a concept of texts, and {items.dataset.name} has none")
    return dict(found)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise BadInput(f"the regular expression {pattern!r} cannot be read: {error}") from error


def _token(literal: str, items: LabelledItems) -> PlaceLabels:
    """Positive where the text up to a token's end ends in the string: ' the' with its space is whole words."""
    return PlaceLabels(_texts(items, "token"), re.compile(re.escape(literal)), True, items.dataset.digest)


def _regex(pattern: str, items: LabelledItems) -> PlaceLabels:
    """Positive where a token's last character lies in a match."""
    return PlaceLabels(_texts(items, "regex"), _compiled(pattern), False, items.dataset.digest)


def _contains(pattern: str, items: LabelledItems) -> ItemLabels:
    """A label a text: whether there is a match in it."""
    compiled = _compiled(pattern)
    return ItemLabels({item: compiled.search(text) is not None for item, text in _texts(items, "contains").items()})


FORMS: dict[str, Callable[[str, LabelledItems], Labels]] = {"token": _token, "regex": _regex, "contains": _contains}
