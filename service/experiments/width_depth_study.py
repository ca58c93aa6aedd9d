"""What do width and depth do to representations? A family of sizes, each against itself, against the others, and over its
training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from service.experiments.compare_networks import MOST_TAKEN_OUT, Comparer, Comparison, PairOfNetworks
from service.experiments.progress import tell_waiting
from service.experiments.runs import no_network
from service.experiments.small_networks import SmallNetwork
from service.networks.checkpoints import CheckpointSource, find_checkpoints
from service.networks.datasets import DEFAULT_SAMPLE, Items
from service.settings import Settings
from service.storage.database import open_store, publish

MEASURES = ("linear_cka", "linear_cka_debiased", "procrustes_angular")


@dataclass(frozen=True)
class WidthDepthStudy:
    """Sizes (width, depth) that are trained on the same text in the same order, and the steps at which they are compared.
    `taken_out` is the most top principal components that are taken out across sizes and steps; within a last checkpoint it is
    as many as can be."""

    sizes: tuple[tuple[int, int], ...] = ((32, 4), (64, 2), (64, 4), (64, 8), (128, 4), (128, 8), (256, 4))
    steps: int = 1024
    at: tuple[int, ...] = (0, 16, 64, 256, 1024)
    sample: int = DEFAULT_SAMPLE
    permutations: int = 20
    taken_out: int = MOST_TAKEN_OUT

    @property
    def networks(self) -> dict[str, SmallNetwork]:
        """What it trains for itself, by name."""
        made = [SmallNetwork("causal", width, depth, steps=self.steps) for width, depth in self.sizes]
        return {network.name: network for network in made}

    @property
    def revisions(self) -> list[str]:
        """The checkpoints of its own networks that are compared."""
        return [f"step{step}" for step in self.at]

    @property
    def comparison(self) -> Comparison:
        """What each two checkpoints are compared by."""
        return Comparison(MEASURES, self.permutations)

    def comparisons(
        self, families: Sequence[Sequence[CheckpointSource]], comparer: Comparer
    ) -> list[tuple[PairOfNetworks, Comparer]]:
        """Each network's last checkpoint against itself; two networks' last against each other; and each earlier checkpoint
        against itself and against the last: all with and without the top principal components."""
        lasts = [family[-1] for family in families]
        within = [PairOfNetworks(last, last) for last in lasts]
        others = [PairOfNetworks(*pair) for pair in combinations(lasts, 2)]
        for family in families:
            for earlier in family[:-1]:
                others += [PairOfNetworks(earlier, earlier), PairOfNetworks(earlier, family[-1])]
        asked = [(within, MOST_TAKEN_OUT), (others, self.taken_out)]
        return [
            (pair, _without_top(comparer, taken))
            for pairs, most in asked
            for taken in range(most + 1)
            for pair in pairs
        ]


QUICK = WidthDepthStudy(
    sizes=((32, 4), (64, 4), (64, 8), (128, 4)),
    steps=256,
    at=(0, 16, 64, 256),
    sample=1024,
    permutations=6,
    taken_out=1,
)


def _without_top(comparer: Comparer, taken: int) -> Comparer:
    return replace(comparer, comparison=replace(comparer.comparison, without_top=taken))


def checkpoints_of(models: Sequence[str], revisions: Sequence[str]) -> list[list[CheckpointSource]]:
    """The checkpoints of each model, by step. Raises UnknownName, NetworkMismatch."""
    return [find_checkpoints(model, revisions) for model in dict.fromkeys(models)]


def asked_sizes(quick: bool = False, sample: int | None = None) -> WidthDepthStudy:
    """The study as a command line or a deployment asks for it."""
    study = QUICK if quick else WidthDepthStudy()
    return replace(study, sample=sample or study.sample)


def is_answered(
    settings: Settings,
    study: WidthDepthStudy,
    families: Sequence[Sequence[CheckpointSource]],
    items: Items,
) -> bool:
    """Whether the store lacks nothing of the study; opens it, loads no network. Raises StoreBusy, StoreNotMigrated."""
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    comparer = Comparer(store, items, study.sample, study.comparison, no_network, on_wait=tell_waiting)
    answered = not any(one.lacks(pair) for pair, one in study.comparisons(families, comparer))
    if answered:
        publish(store, tell_waiting)
    return answered
