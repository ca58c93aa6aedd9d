"""What a probe command asks and would do, before any flow starts: a repeated one learns here that nothing is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from service.errors import BadInput
from service.experiments.layer_clouds import CloudReader
from service.experiments.probe_agreement import comparisons
from service.experiments.probe_concepts import Outcome, Prober
from service.experiments.probe_request import Asked
from service.experiments.progress import tell_waiting
from service.experiments.runs import no_network
from service.networks.checkpoints import CheckpointSource, Network, find_checkpoints
from service.networks.concepts import LabelledConcept, find_concepts
from service.networks.datasets import Choice, Items, open_dataset
from service.settings import Settings
from service.storage import coverage
from service.storage.database import OnWait, Store, open_store, publish


@dataclass(frozen=True, eq=False)
class Probing:
    """Concepts on a dataset, and the checkpoints that are to be probed for them as the members of an ensemble."""

    sources: tuple[CheckpointSource, ...]
    items: Items
    concepts: tuple[LabelledConcept, ...]
    asked: Asked
    ensemble: str
    window: int | None = None
    sample: int | None = None

    @property
    def models(self) -> list[str]:
        """The models, in the order given."""
        return list(dict.fromkeys(source.checkpoint.model for source in self.sources))

    def probers(
        self,
        store: Store,
        network: Callable[[CheckpointSource], Network],
        batch_size: int | None = None,
        flow_run_id: str | None = None,
        on_wait: OnWait = None,
        device: str = "cpu",
    ) -> list[Prober]:
        """How each checkpoint is probed."""
        found = []
        for source in self.sources:
            take = partial(network, source)
            reader = CloudReader(
                store, source.checkpoint, take, self.window, self.sample, batch_size, flow_run_id, on_wait, {}, device
            )
            found.append(Prober(reader, self.items, self.concepts, self.asked, self.ensemble))
        return found


def asked_probing(
    models: Sequence[str],
    concepts: Sequence[str],
    revisions: Sequence[str] | None,
    names: Sequence[str] | None,
    dataset: str,
    choice: Choice,
    window: int | None,
    sample: int | None,
    asked: Asked,
    ensemble: str | None,
) -> Probing:
    """What a command line or a deployment's parameters ask. Raises UnknownName, NetworkMismatch, BadInput."""
    items = open_dataset(dataset, window=window, sample=sample, choice=choice)
    found = find_concepts(concepts, items)
    for one in found:
        one.refuse_fewer_than(asked.folds)
    called: Sequence[str | None] = names or [None] * len(models)
    if len(called) != len(models):
        raise BadInput(f"--name is given once for each model; got {len(called)} for {len(models)} models")
    sources = dict.fromkeys(
        source
        for model, name in zip(models, called, strict=True)
        for source in find_checkpoints(model, revisions or (), name)
    )
    whole = ensemble or " + ".join(dict.fromkeys(source.checkpoint.model for source in sources))
    return Probing(tuple(sources), items, tuple(found), asked, whole, window, sample)


@dataclass(frozen=True, eq=False)
class ProbePlan:
    """What was asked, and how many checkpoints and comparisons lack something of it."""

    probing: Probing
    todo: int

    def line(self, outcomes: Sequence[Any]) -> str:
        """What was done, for people."""
        probes = sum(one.probes for one in outcomes if isinstance(one, Outcome))
        done = f"{probes:,} probes fitted" if self.todo else "nothing is missing"
        concepts = ", ".join(one.concept.name for one in self.probing.concepts)
        return f"{self.probing.ensemble}: {concepts} on {self.probing.items.dataset.name}: {done}"


def plan(settings: Settings, probing: Probing) -> ProbePlan:
    """What of it is missing; opens the store, loads no network. Raises NetworkMismatch, BadInput, StoreBusy,
    StoreNotMigrated."""
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    coverage.refuse_mixture(store, probing.sources[0].checkpoint, probing.items.dataset)
    probers = probing.probers(store, no_network, on_wait=tell_waiting)
    todo = sum(one.lacks() for one in probers) + sum(one.lacks() for one in comparisons(probers))
    if not todo:
        publish(store, tell_waiting)
    return ProbePlan(probing, todo)
