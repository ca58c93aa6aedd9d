"""A layer's labelled states probed: whole items held out, on the concept's labels and on the control's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from jaxtyping import Bool, Float, Int
from torch import Tensor

from service.measures.binary_scores import BinaryScores, binary_scores
from service.measures.concept_probe import Probe, correlation, cosine, l1_path, l2_probe, smallest_emptying_penalty
from service.measures.item_folds import held_out, shuffled

L1_STRENGTHS = (1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64)


@dataclass(frozen=True, eq=False)
class LabelledCloud:
    """States with their labels; `items` numbers what is held out whole. Labels and items stay on the CPU."""

    states: Float[Tensor, "points width"]
    labels: Bool[Tensor, " points"]
    items: Int[Tensor, " points"]

    def held_out(self, seed: int, folds: int) -> Bool[Tensor, " points"]:
        """The points that a seed holds out. Raises BadShape."""
        return held_out(self.items, self.labels, seed, folds)

    def margins(self, probe: Probe) -> Float[Tensor, " points"]:
        """The margin of every point."""
        return probe.margins(self.states).cpu()


@dataclass(frozen=True, eq=False)
class ProbeFit:
    """A probe and its scores on the `n_test` points held out, of `labels` ``real`` or ``shuffled``."""

    labels: str
    probe: Probe
    scores: BinaryScores
    n_train: int

    @property
    def n_test(self) -> int:
        """Points held out."""
        return self.scores.points

    @property
    def note(self) -> str | None:
        """What to know of it."""
        said = ["no weight is left at this strength"] if not self.probe.nonzero else []
        said += ["the held-out points are of one class"] if self.scores.auroc is None else []
        said += [] if self.probe.converged else ["the optimiser has not converged"]
        return "; ".join(said) or None


def probe_fits(cloud: LabelledCloud, penalty: str, seed: int, folds: int) -> Iterator[ProbeFit]:
    """The probes of one seed: by L2 one of the concept and one of the control, by L1 as many for each of `L1_STRENGTHS`, which
    are shares of the concept's own largest penalty for both. Raises BadShape."""
    held = cloud.held_out(seed, folds)
    control = shuffled(cloud.labels, cloud.items, held, seed)
    train, test = cloud.states[~held], cloud.states[held]
    largest = None
    for name, labels in (("real", cloud.labels), ("shuffled", control)):
        wanted = labels[~held].to(train.device)
        if penalty == "l1" and largest is None:
            largest = smallest_emptying_penalty(train, wanted)
        probes = l1_path(train, wanted, L1_STRENGTHS, largest) if penalty == "l1" else [l2_probe(train, wanted)]
        for probe in probes:
            scores = binary_scores(probe.margins(test).cpu(), labels[held])
            yield ProbeFit(name, probe, scores, len(train))


@dataclass(frozen=True)
class Agreement:
    """Of two probes, the cosine of their directions, None where they live in no common space, and Pearson's correlation of
    their margins on the same `places`."""

    cosine: float | None
    margin_correlation: float | None
    places: int


def seed_agreements(cloud: LabelledCloud, probes: Sequence[Probe]) -> Iterator[tuple[int, int, Agreement]]:
    """How far the probes of any two seeds at one site agree, on all points, most of which both were trained on."""
    margins = [cloud.margins(probe) for probe in probes]
    for first, second in combinations(range(len(probes)), 2):
        same = cosine(probes[first].weights, probes[second].weights)
        yield first, second, Agreement(same, correlation(margins[first], margins[second]), len(cloud.labels))
