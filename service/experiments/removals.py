"""Which training items are taken away before a network is trained again: those that a concept is owed to, and the controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.errors import BadInput, UnknownName

MATCHED = "class-matched"
REMOVALS = ("top", "bottom", "random", "exemplars", MATCHED)
CONTROLS = ("random", "bottom", "exemplars", MATCHED)


@dataclass(frozen=True)
class Removal:
    """`count` items of a kind: ``top`` and ``bottom`` by attribution, ``random``, the concept's own ``exemplars``,
    ``class-matched``, of each class as many as ``top`` takes; ``none`` takes away nothing."""

    kind: str
    count: int

    @property
    def name(self) -> str:
        """As it stands in a folder's name: ``top-100``."""
        return f"{self.kind}-{self.count}" if self.count else "none"


NOTHING = Removal("none", 0)


@dataclass(frozen=True, eq=False)
class Ranked:
    """Training items with their attribution scores, which of them have the concept, and their classes."""

    items: NDArray[np.int64]
    scores: NDArray[np.float64]
    exemplars: NDArray[np.bool_]
    classes: NDArray[np.int64]

    def removed(self, removal: Removal, seed: int) -> NDArray[np.int64]:
        """The items that are taken away, in ascending order. What is random is the seed's, and a larger count takes away all
        that a smaller one does, but for class-matched ones, which are none of the top where the class has others. Raises
        BadInput where there are not so many."""
        pool = self._matched(removal.count, seed) if removal.kind == MATCHED else self._ordered(removal.kind, seed)
        if removal.count > len(pool):
            what = "exemplars of the concept" if removal.kind == "exemplars" else "training items"
            raise BadInput(
                f"--remove {removal.kind}:{removal.count} asks for more than the {len(pool)} {what} there are"
            )
        return np.sort(pool[: removal.count])

    def _ordered(self, kind: str, seed: int) -> NDArray[np.int64]:
        if kind == "none":
            return self.items[:0]
        if kind in ("top", "bottom"):
            ascending = np.lexsort((-self.items, self.scores))
            return self.items[ascending[::-1] if kind == "top" else ascending]
        pool = self.items[self.exemplars] if kind == "exemplars" else self.items
        return np.random.default_rng(seed).permutation(pool)

    def _matched(self, count: int, seed: int) -> NDArray[np.int64]:
        """Of each class as many as the top items have, the seed's draw: of the others first."""
        top = np.isin(self.items, self._ordered("top", seed)[:count])
        order = np.random.default_rng(seed).permutation(len(self.items))
        order = order[np.argsort(top[order], kind="stable")]
        own = [
            order[self.classes[order] == one][: np.sum(top & (self.classes == one))] for one in np.unique(self.classes)
        ]
        return self.items[np.concatenate(own)]


def asked_removals(
    text: str, train_items: int, controls: Sequence[str] = CONTROLS, exemplars: int | None = None
) -> list[Removal]:
    """``top:50,100`` or ``top:5%,10%`` as removals, with as many of each control. A control of more exemplars than there are
    takes them all. Raises BadInput, UnknownName."""
    kind, _, counts = text.partition(":")
    if kind not in REMOVALS:
        raise UnknownName.of("removal", kind, REMOVALS)
    asked = [_count(one.strip(), train_items) for one in counts.split(",")]
    found = [Removal(kind, count) for count in asked]
    for control in controls:
        if control not in REMOVALS:
            raise UnknownName.of("removal", control, REMOVALS)
        most = train_items if control != "exemplars" or exemplars is None else exemplars
        found += [Removal(control, min(count, most)) for count in asked if control != kind]
    return list(dict.fromkeys(found))


def _count(text: str, train_items: int) -> int:
    try:
        share = text.endswith("%")
        count = round(float(text[:-1]) / 100 * train_items) if share else int(text)
    except ValueError as error:
        raise BadInput(f"--remove takes numbers or shares such as top:100 or top:5%,10%; got {text!r}") from error
    if not 0 < count < train_items:
        raise BadInput(f"--remove {text} is {count} of {train_items} training items: give 1 to {train_items - 1}")
    return count
