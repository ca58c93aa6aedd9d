"""Which edits are made of a network: methods, where, how far, how long, and what of that is searched for."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from service.errors import BadInput, UnknownName
from service.networks.edit_settings import HIGHEST_RATE, LAYERED, MOVING, RANKED
from service.subjects import Edit, EditMethod

METHODS: tuple[EditMethod, ...] = get_args(EditMethod)
IN_ONE_LAYER = LAYERED | {"rome"}
RATES: Mapping[EditMethod, float] = {
    "fine-tuning": 3e-4,
    "interpolation": 3e-4,
    "one-layer": 1e-3,
    "1-li": 1e-3,
    "low-rank": 1e-2,
    "rewriting": 1e-2,
    "rome": 0.5,  # of Meng et al. 2022
}
USUAL_STEPS = 40
STEPS: Mapping[EditMethod, int] = {"rewriting": 100, "rome": 20}  # of methods that need others
STEPS_SEARCHED = (10, 20, 40, 80)
RATE_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)
RANKS_SEARCHED = (1, 2, 4, 8)
ALPHAS_SEARCHED = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Grid:
    """What is tried of each method: `layers` by name or depth (None: for fine-tuning all of them, for the others one that is
    found), `ranks`, `alphas`; `steps` and `learning_rate` of all methods, each one's usual where None. `seeds` draws of the
    exemplars. `budget` edits of each method are tried first, to choose what is None. `where` layers are edited where none are
    named; with more than one of them, ranks that a layer's matrix does not have are left out there. `as_released` asks for the
    methods' variants as their authors' code has them too.

    Raises UnknownName, BadInput.
    """

    methods: tuple[EditMethod, ...]
    layers: tuple[str, ...] | None = None
    ranks: tuple[int, ...] | None = None
    alphas: tuple[float, ...] | None = None
    steps: int | None = None
    learning_rate: float | None = None
    seeds: int = 1
    budget: int = 0
    where: int = 1
    as_released: bool = False

    def __post_init__(self) -> None:
        for method in self.methods:
            if method not in METHODS:
                raise UnknownName.of("method of editing", method, METHODS)
        if not self.methods:
            raise BadInput(f"an edit needs a method: give --method {', '.join(METHODS)}")
        if any(not 0 <= alpha <= 1 for alpha in self.alphas or ()):
            raise BadInput(f"--alpha is a share from 0 to 1; got {', '.join(map(str, self.alphas or ()))}")
        if any(rank < 1 for rank in self.ranks or ()):
            raise BadInput(f"--rank is 1 or more; got {', '.join(map(str, self.ranks or ()))}")
        if self.learning_rate is not None and not 0 < self.learning_rate <= HIGHEST_RATE:
            raise BadInput(f"--rate is a number above 0 and at most {HIGHEST_RATE:g}; got {self.learning_rate}")

    def places(self, method: EditMethod, layers: Sequence[str]) -> list[str | None]:
        """Where a method edits, of the layers of those names; None for all of the network's."""
        return [*layers] if self.layers or method in IN_ONE_LAYER else [None, *layers]

    def edits(self, method: EditMethod, checkpoint_id: str, task_id: str, layer: str | None, seed: int) -> list[Edit]:
        """The edits of a method at one place, those that share a tuning beside each other."""
        usual = STEPS.get(method, USUAL_STEPS)
        steps, rate = self.steps or usual, self.learning_rate or RATES[method]
        ranks: Sequence[int | None] = (self.ranks or (1,)) if method in RANKED else (1 if method == "rome" else None,)
        alphas: Sequence[float | None] = (self.alphas or (0.5,)) if method in MOVING else (None,)
        return [
            Edit(checkpoint_id, task_id, method, layer, rank, alpha, steps, rate, seed)
            for rank, alpha in itertools.product(ranks, alphas)
        ]

    def liking(self, best: Edit | None) -> Grid:
        """The same with what a search has chosen in the place of what nobody asked for."""
        if best is None:
            return self
        layers = self.layers or ((best.layer,) if best.layer and self.where == 1 else None)
        ranks = self.ranks or ((best.rank,) if best.rank else None)
        alphas = self.alphas or ((best.alpha,) if best.alpha is not None else None)
        return replace(
            self, layers=layers, ranks=ranks, alphas=alphas, steps=best.steps, learning_rate=best.learning_rate
        )

    def tried(
        self, edit: Edit, layers: Sequence[str | None], budget: int, fits: Callable[[Edit], bool] = lambda _: True
    ) -> list[Edit]:
        """The `budget` edits that a search tries at those layers: draws, seeded, from what was not asked for and `fits` the
        network, the first `edit` itself, which has the usual settings."""
        usual = RATES[edit.method]
        rates = [edit.learning_rate] if self.learning_rate else [usual * factor for factor in RATE_FACTORS]
        steps = [edit.steps] if self.steps else [*STEPS_SEARCHED]
        ranks = [edit.rank] if self.ranks or edit.method not in RANKED else [*RANKS_SEARCHED]
        alphas = [edit.alpha] if self.alphas or edit.method not in MOVING else [*ALPHAS_SEARCHED]
        every = [
            replace(edit, learning_rate=rate, steps=count, layer=layer, rank=rank, alpha=alpha)
            for rate, count, layer, rank, alpha in itertools.product(rates, steps, layers, ranks, alphas)
        ]
        others = [one for one in every if one != edit and fits(one)]
        random.Random(edit.edit_id).shuffle(others)
        return [edit, *others][:budget]


def sharing_a_tuning(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    """The edits in groups that differ in alpha alone: their weights are tuned once."""
    groups: dict[Edit, list[Edit]] = {}
    for edit in edits:
        groups.setdefault(replace(edit, alpha=None), []).append(edit)
    return iter(groups.values())
