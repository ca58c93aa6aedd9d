"""How concepts are probed, whatever the network: penalties, seeds, folds, tokens and layers."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import BadInput, UnknownName
from service.subjects import POSITIONS, Positions

PENALTIES = ("l2", "l1")


@dataclass(frozen=True)
class Asked:
    """How concepts are probed: at which `layers` (None for all), on which tokens, by which penalties, over `seeds` choices of
    held-out items, each holding out one of `folds` parts. Raises UnknownName, BadInput."""

    penalties: tuple[str, ...] = ("l2",)
    seeds: int = 5
    folds: int = 5
    positions: Positions = "all"
    layers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for penalty in self.penalties:
            if penalty not in PENALTIES:
                raise UnknownName.of("penalty", penalty, [*PENALTIES, "both"])
        if self.positions not in POSITIONS:
            raise UnknownName.of("position filter", self.positions, POSITIONS)
        if self.seeds < 1 or self.folds < 2:
            raise BadInput(f"a probe needs one seed or more and two folds or more; got {self.seeds} and {self.folds}")

    @property
    def wanted(self) -> set[tuple[str, int]]:
        """Every penalty and seed."""
        return {(penalty, seed) for penalty in self.penalties for seed in range(self.seeds)}

    @property
    def depths(self) -> frozenset[int] | None:
        """The asked layers, None for all."""
        return frozenset(self.layers) if self.layers else None


def asked_penalties(penalty: str) -> tuple[str, ...]:
    """``both`` as l2 and l1; a penalty by its name."""
    return PENALTIES if penalty == "both" else (penalty,)
