"""Concepts: a named yes or no over the items of any dataset; that of places in texts stands in `text_concepts`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import BadInput, UnknownName
from service.networks import text_concepts
from service.networks.concept_labels import ItemLabels, LabelledItems, Labels
from service.subjects import Concept

NAMED = re.compile(r"([^:=]+)=(.+)", re.DOTALL)
YES = ("1", "true")
NO = ("0", "false")


@dataclass(frozen=True, eq=False)
class LabelledConcept:
    """A concept and where it holds."""

    concept: Concept
    labels: Labels

    def refuse_fewer_than(self, folds: int) -> None:
        """Raise BadInput where so many folds cannot all have an item with a positive and one with a negative place."""
        for kind, count in (("positive", self.labels.positives), ("negative", self.labels.negatives)):
            if count < folds:
                raise BadInput(
                    f"concept {self.concept.name!r} has {count} {kind} of {self.labels.items} items of "
                    f"{self.concept.dataset}; {folds} folds need {folds}: give a smaller --folds, or another concept"
                )


def find_concept(asked: str, items: LabelledItems) -> LabelledConcept:
    """The concept that ``NAME=FORM``, or just ``FORM``, names on a dataset.

    Forms: ``column:NAME``, ``classes:0,6`` or ``classes:COLUMN:0,6``, ``json:FILE``, and of texts ``token: the``,
    ``regex:[0-9]+``, ``contains:PATTERN``.
    Raises UnknownName (form, column, class), BadInput (labels that cannot be read, one class only).
    """
    given, form = named_form(asked)
    kind, colon, rest = form.partition(":")
    if not colon or kind not in FORMS:
        raise UnknownName.of("form of a concept", kind, [f"{known}:" for known in FORMS])
    if not rest:
        raise BadInput(f"concept {asked!r} says nothing after {kind}: it needs one more word, such as {EXAMPLES[kind]}")
    labels, where = FORMS[kind](rest, items), items.dataset.name
    definition = f"json:{Path(rest).name}" if kind == "json" else form
    name = given or definition
    if not labels.positives or not labels.negatives:
        only = "positive" if labels.positives else "negative"
        raise BadInput(f"concept {name!r} has one class only: all {labels.items} items of {where} are {only}")
    return LabelledConcept(Concept(name, definition, where, labels.digest, labels.items, labels.positives), labels)


def named_form(asked: str) -> tuple[str | None, str]:
    """The name, None where there is none, and the form of ``NAME=FORM`` or ``FORM``."""
    named = NAMED.fullmatch(asked)
    return (named[1], named[2]) if named else (None, asked)


def find_concepts(asked: Iterable[str], items: LabelledItems) -> list[LabelledConcept]:
    """Several concepts, each name once. Raises UnknownName, BadInput."""
    found: dict[str, LabelledConcept] = {}
    for one in dict.fromkeys(asked):
        labelled = find_concept(one, items)
        if labelled.concept.name in found:
            raise BadInput(f"two concepts are called {labelled.concept.name!r}: give each a name of its own")
        found[labelled.concept.name] = labelled
    if not found:
        raise BadInput("a probe needs a concept: give --concept NAME=FORM, such as --concept even=classes:0,2,4,6,8")
    return list(found.values())


def _column(name: str, items: LabelledItems) -> Labels:
    """A column of 0 and 1, or true and false; where it is empty the item has no label."""
    return ItemLabels({item: _yes(value, name) for item, value in items.column(name).items() if value is not None})


def _yes(value: object, column: str) -> bool:
    word = _word(value).lower()
    if word not in YES + NO:
        raise BadInput(
            f"column {column!r} holds {value!r}, which is neither true nor false, 0 nor 1: "
            f"classes:{column}:VALUES makes a yes or no of it"
        )
    return word in YES


def _word(value: object) -> str:
    """A class as people write it: 6 for 6.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _classes(asked: str, items: LabelledItems) -> Labels:
    """A set of values of a column; where it is empty the item has no label."""
    column, _, listed = asked.rpartition(":")
    column = column or "label"
    words = {item: _word(value) for item, value in items.column(column).items() if value is not None}
    wanted, known = {one.strip() for one in listed.split(",")}, set(words.values())
    for one in sorted(wanted - known):
        raise UnknownName.of(f"class of column {column!r} of {items.dataset.name}", one, known)
    return ItemLabels({item: word in wanted for item, word in words.items()})


def _json(place: str, items: LabelledItems) -> Labels:
    """A file with an object of true and false by item id, a list of positive ids, or a list of booleans for all items in the
    order of their ids. Where splits are numbered together it may be of the whole source."""
    path, ids = Path(place).expanduser(), sorted(items.item_ids)
    own, all_ids = set(ids), source_ids(items) or ids
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnknownName(f"unknown file of labels {place!r}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is no JSON file that can be read: {str(error).splitlines()[0]}") from error
    if isinstance(found, dict) and all(isinstance(value, bool) or value in (0, 1) for value in found.values()):
        told = {_known(item, all_ids, path, items.dataset.name): bool(yes) for item, yes in found.items()}
        return ItemLabels({item: yes for item, yes in told.items() if item in own})
    if isinstance(found, list) and found and all(isinstance(value, bool) for value in found):
        of = next((known for known in (ids, all_ids) if len(known) == len(found)), None)
        if of is None:
            raise BadInput(f"{path} has {len(found)} labels, and {items.dataset.name} has {len(ids)} items")
        return ItemLabels({item: yes for item, yes in zip(of, found, strict=True) if item in own})
    if isinstance(found, list) and all(isinstance(value, int) for value in found):
        positive = {_known(item, all_ids, path, items.dataset.name) for item in found}
        return ItemLabels({item: item in positive for item in ids})
    raise BadInput(
        f"{path} holds no labels: give an object of true and false by item id, or a list of positive item ids"
    )


def source_ids(items: LabelledItems) -> Sequence[int]:
    """The ids of the whole source that items are a split of, in order, where its splits are numbered together; else none."""
    return getattr(items, "source_ids", ())


def _known(item: object, ids: Sequence[int], path: Path, dataset: str) -> int:
    word = str(item)
    if word.isdecimal() and int(word) in ids:
        return int(word)
    raise BadInput(
        f"{path} has a label for item {word}, which {dataset} does not have: its items are {ids[0]} to {ids[-1]}"
    )


FORMS: dict[str, Callable[[str, LabelledItems], Labels]] = {
    "column": _column,
    "classes": _classes,
    "json": _json,
    **text_concepts.FORMS,
}
EXAMPLES = {
    "column": "column:even",
    "classes": "classes:0,6,8,9",
    "json": "json:labels.json",
    **text_concepts.EXAMPLES,
}
