"""Count, mean and second moment of all tokens of a site, accumulated batch by batch where the states are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from service.results import Moments
from service.subjects import Positions

CLASSES = ("special-first", "first", "special", "rest")
KEPT: dict[Positions, tuple[str, ...]] = {
    "all": CLASSES,
    "not-first": ("special", "rest"),
    "not-special": ("first", "rest"),
}


class ClassMoments:
    """The moments of one position class, about a pilot: the mean of its first batch.

    Products are float32 and sums float64. Without a pilot of its own, a class whose tokens share one huge coordinate would
    lose its spread to rounding.
    """

    def __init__(self, states: Float[Tensor, "tokens width"]) -> None:
        width, place = states.shape[1], states.device
        self.count = torch.zeros((), dtype=torch.int64, device=place)
        self.total = torch.zeros(width, dtype=torch.float64, device=place)
        self.second = torch.zeros(width, width, dtype=torch.float64, device=place)
        finite = finite_rows(states)
        first = states if finite is None else states.where(finite, 0)
        self.pilot = first.sum(0) / (len(states) if finite is None else finite.sum().clamp(min=1))

    def add(self, states: Float[Tensor, "tokens width"]) -> None:
        """Take in tokens, overwriting `states`; rows that are NaN or infinite are left out."""
        finite = finite_rows(states)
        states.sub_(self.pilot)
        if finite is not None:
            states = states.where(finite, 0)
        self.count += len(states) if finite is None else finite.sum()
        self.total += states.sum(0)
        self.second += states.T @ states

    def mean(self) -> Float[Tensor, " width"]:
        return self.pilot.double() + self.total / self.count

    def scatter(self) -> Float[Tensor, "width width"]:
        """The sum of outer products about the mean."""
        return self.second.addr(self.total, self.total / self.count, alpha=-1)


def finite_rows(states: Float[Tensor, "tokens width"]) -> Bool[Tensor, "tokens 1"] | None:
    """Which rows are finite; None where all are known to be. A CUDA device is not asked: the answer would stall it."""
    if not states.is_cuda and math.isfinite(states.sum().item()):
        return None
    return torch.isfinite(states).all(1, keepdim=True)


class StreamedMoments:
    """The moments of one site by position class, and of any union of classes."""

    def __init__(self) -> None:
        self.classes: dict[str, ClassMoments] = {}
        self.seen = 0

    def add(self, states: Float[Tensor, "tokens width"], members: Sequence[Int[Tensor, " members"]]) -> None:
        """Take in a batch; `members` are the rows of each of `CLASSES`, with padding in none."""
        for name, rows in zip(CLASSES, members, strict=True):
            if len(rows):
                chosen = states.index_select(0, rows).float()
                if name not in self.classes:
                    self.classes[name] = ClassMoments(chosen)
                self.classes[name].add(chosen)
                self.seen += len(rows)

    @property
    def non_finite(self) -> int:
        """How many tokens were left out."""
        return self.seen - sum(int(held.count) for held in self.classes.values())

    def by_positions(self) -> dict[Positions, Moments]:
        """The moments under each position filter that keeps any token. Filters that keep the same share one spectrum."""
        found: dict[tuple[str, ...], Moments] = {}
        moments: dict[Positions, Moments] = {}
        for positions, names in KEPT.items():
            held = tuple(name for name in names if name in self.classes and self.classes[name].count > 0)
            if held and held not in found:
                found[held] = united([self.classes[name] for name in held])
            if held:
                moments[positions] = found[held]
        return moments


def united(classes: Sequence[ClassMoments]) -> Moments:
    """The moments of all tokens of some classes: scatters within them plus the scatter of their means, in float64.

    Source: Chan, Golub and LeVeque 1983, https://doi.org/10.1080/00031305.1983.10483115
    """
    counts = torch.stack([held.count for held in classes]).double()
    means = torch.stack([held.mean() for held in classes])
    tokens = counts.sum()
    mean = counts @ means / tokens
    away = (means - mean) * counts.sqrt()[:, None]
    scatter = away.T @ away
    for held in classes:
        scatter += held.scatter()
    spectrum = torch.linalg.eigvalsh(scatter / tokens).flip(0).clamp(min=0)
    return Moments(int(tokens), mean.cpu(), spectrum.cpu())
