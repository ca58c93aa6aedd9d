"""Is what one network has at a layer of use to another? The second's loss with the first for a bottom, by a map between.

Each pair of layers is a run of its own; a map that is recorded is not trained again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.errors import BadInput, UnknownName
from service.experiments.compare_networks import PairOfNetworks
from service.experiments.progress import Progress, tell
from service.experiments.runs import ended_run, now
from service.networks.checkpoints import CheckpointSource, Network
from service.networks.datasets import Items
from service.networks.stitch_maps import MAPS, TRAINED
from service.networks.stitch_training import Stitching, stitch_texts
from service.networks.stitches import Stitch
from service.results import StitchResult
from service.storage.database import OnWait, Store
from service.storage.rows import Run
from service.storage.stitch_rows import KnownMap, Stitched, record_stitches, stitched_maps

EXPERIMENT = "stitch_networks"
USUAL = ("affine", "identity", "least-squares", "orthogonal", "procrustes")


@dataclass(frozen=True)
class Wanted:
    """Maps by name, and for how many steps at most those are trained that are trained. Without any, the usual ones, and the
    identity only between equal widths. Raises UnknownName, BadInput."""

    maps: tuple[str, ...] = ()
    steps: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.maps:
            if name not in MAPS:
                raise UnknownName.of("map", name, MAPS)
        if self.steps < 1:
            raise BadInput(f"--steps is 1 or more; got {self.steps}")

    @property
    def named(self) -> tuple[str, ...]:
        """The maps, each once."""
        return tuple(dict.fromkeys(self.maps or USUAL))

    def lacking(self, known: set[KnownMap]) -> list[str]:
        """The maps that are not among those known, trained for these steps or converged in fewer."""
        there = {one.map for one in known if one.map not in TRAINED or self._is_enough(one)}
        return [name for name in self.named if name not in there]

    def _is_enough(self, one: KnownMap) -> bool:
        return one.steps == self.steps or (one.converged is True and one.steps < self.steps)


@dataclass(frozen=True)
class Seam:
    """Where two checkpoints are to be stitched: the first gives the bottom up to `layers[0]`, the second goes on after
    `layers[1]`."""

    pair: PairOfNetworks
    layers: tuple[int, int]

    @property
    def reverse(self) -> Seam:
        """The same with the second network for a bottom."""
        return Seam(PairOfNetworks(self.pair.second, self.pair.first), (self.layers[1], self.layers[0]))

    @property
    def label(self) -> str:
        """How people read it."""
        first, second = self.pair.first.checkpoint.label, self.pair.second.checkpoint.label
        return f"{first} up to layer {self.layers[0]}, {second} after layer {self.layers[1]}"


@dataclass(frozen=True)
class Outcome:
    """What was done at a seam: the maps judged, none where all were there."""

    label: str
    dataset: str
    results: tuple[StitchResult, ...]
    seconds: float


@dataclass(frozen=True)
class Stitcher:
    """How checkpoints are stitched: where, on which texts, and with which networks."""

    store: Store
    items: Items
    wanted: Wanted
    network: Callable[[CheckpointSource], Network]
    flow_run_id: str | None = None
    on_wait: OnWait = None

    def lacks(self, seam: Seam) -> list[str]:
        """The maps that are not recorded. Raises StoreBusy."""
        first, second = (one.checkpoint.checkpoint_id for one in (seam.pair.first, seam.pair.second))
        dataset = self.items.dataset.name
        lacking = self.wanted.lacking(stitched_maps(self.store, first, second, seam.layers, dataset, self.on_wait))
        return [] if not self.wanted.maps and lacking == ["identity"] else lacking  # there it had no equal widths

    def stitch(self, seam: Seam) -> Outcome:
        """Train and judge the maps that are not recorded, and record them.

        Raises BadInput (no such layer, too little text), NetworkMismatch (vocabularies, widths, encoders), StoreBusy.
        """
        begun, started = now(), time.perf_counter()
        dataset, lacking = self.items.dataset.name, self.lacks(seam)
        if not lacking:
            return Outcome(seam.label, dataset, (), 0.0)
        bottom, top = self.network(seam.pair.first), self.network(seam.pair.second)
        if not self.wanted.maps and bottom.facts.width != top.facts.width:
            lacking = [name for name in lacking if name != "identity"]
        results = self._results(seam, Stitch(bottom, top, *seam.layers), lacking)
        seconds = time.perf_counter() - started
        run = self._run(seam, lacking, begun, top.facts.device, seconds)
        ends = (bottom.checkpoint, bottom.facts), (top.checkpoint, top.facts)
        record_stitches(self.store, Stitched(run, ends, self.items.dataset, results), self.on_wait)
        return Outcome(seam.label, dataset, tuple(results), seconds)

    def _results(self, seam: Seam, stitch: Stitch, maps: Sequence[str]) -> list[StitchResult]:
        def on_step(done: int, total: int) -> None:
            tell(Progress("stitch", seam.label, done, total, "steps"))

        texts = stitch_texts(self.items, stitch, self.wanted.steps)
        stitching = Stitching(stitch, texts, self.wanted.seed, on_step)
        return [stitching.result(name, self.wanted.steps) for name in maps]

    def _run(self, seam: Seam, maps: Sequence[str], begun: datetime, device: str, seconds: float) -> Run:
        ends = (seam.pair.first.checkpoint, seam.pair.second.checkpoint)
        first, second = ({"model": one.model, "step": one.step, "revision": one.revision} for one in ends)
        layers = list(seam.layers)
        parameters = {"first": first, "second": second, "layers": layers, "maps": maps, "steps": self.wanted.steps}
        return ended_run(
            EXPERIMENT,
            parameters,
            begun,
            self.items.dataset.name,
            device=device,
            flow_run_id=self.flow_run_id,
            seed=self.wanted.seed,
            seconds={"measure": seconds},
        )


def directed(seams: Sequence[Seam], both_ways: bool) -> list[Seam]:
    """The seams, each once, and where asked their reverses."""
    return list(dict.fromkeys([*seams, *(seam.reverse for seam in seams if both_ways)]))
