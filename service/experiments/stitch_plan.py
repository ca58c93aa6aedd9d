"""What a stitch command would do, before any flow starts: a repeated command learns here that nothing is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import BadInput
from service.experiments.compare_networks import PairOfNetworks
from service.experiments.progress import tell_waiting
from service.experiments.runs import no_network
from service.experiments.stitch_networks import Seam, Stitcher, Wanted, directed
from service.networks.datasets import open_dataset
from service.settings import Settings
from service.storage.database import open_store, publish


def layer_pairs(text: str) -> list[tuple[int, int]]:
    """``3:3,4:5`` as [(3, 3), (4, 5)]. Raises BadInput."""
    found = []
    for part in text.split(","):
        first, colon, second = part.strip().partition(":")
        if not (colon and first.isdecimal() and second.isdecimal()):
            raise BadInput(f"--layers needs pairs of layers such as 3:3,4:5; got {text!r}")
        found.append((int(first), int(second)))
    return found


def asked_seams(pairs: Sequence[PairOfNetworks], layers: str, both_ways: bool) -> list[Seam]:
    """Every pair of layers of every pair of checkpoints. Raises BadInput."""
    return directed([Seam(pair, found) for pair in pairs for found in layer_pairs(layers)], both_ways)


@dataclass(frozen=True)
class StitchPlan:
    """The seams that were asked for on a dataset, and those of them that something is missing of."""

    seams: tuple[Seam, ...]
    todo: tuple[Seam, ...]
    dataset: str


def plan(settings: Settings, seams: Sequence[Seam], dataset: str, window: int | None, wanted: Wanted) -> StitchPlan:
    """What of the seams is missing; opens the store, loads no network.

    Raises UnknownName, BadInput, StoreBusy, StoreNotMigrated, StoreNotWritable.
    """
    items = open_dataset(dataset, window=window)
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    stitcher = Stitcher(store, items, wanted, no_network, on_wait=tell_waiting)
    todo = tuple(seam for seam in seams if stitcher.lacks(seam))
    if not todo:
        publish(store, tell_waiting)
    return StitchPlan(tuple(seams), todo, items.dataset.name)
