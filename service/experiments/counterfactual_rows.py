"""The networks that were trained without some items, judged and recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import BadInput
from service.experiments.counterfactual_study import Without
from service.experiments.runs import ended_run, now
from service.networks.checkpoints import CheckpointSource
from service.networks.class_labels import class_names, class_numbers
from service.networks.image_training import accuracy
from service.networks.loading import Network
from service.networks.vision import VisionNetwork
from service.storage.attribution_rows import About, Retrained, known_retrainings, record_attributions
from service.storage.database import OnWait, Store

EXPERIMENT = "concept_counterfactuals"


@dataclass(frozen=True, eq=False)
class Judge:
    """Notes each network, with how often it tells the class of the `targets`, where it is probed. `train` is what it was
    trained on, of which `train_items` were attributed; `untrained` are the checkpoints that each seed started from."""

    store: Store
    about: About
    targets: Any
    train: Any
    train_items: int
    untrained: Sequence[CheckpointSource]
    network: Callable[[CheckpointSource], Network]
    flow_run_id: str | None = None
    on_wait: OnWait = None

    def lacking(self, trainings: Mapping[CheckpointSource, Without]) -> dict[CheckpointSource, Without]:
        """Those that are not recorded. Raises StoreBusy."""
        known = known_retrainings(self.store, self.about.attribution_id, self.about.method, self.on_wait)
        return {
            source: one
            for source, one in trainings.items()
            if (one.removal.kind, one.removal.count, one.seed, source.checkpoint.checkpoint_id, self._before(one))
            not in known
        }

    def _before(self, training: Without) -> str:
        return self.untrained[training.seed].checkpoint.checkpoint_id

    def record(self, source: CheckpointSource, training: Without) -> float | None:
        """Judge one network and record it; its accuracy, None of one that reads no images. Raises StoreBusy."""
        begun, network = now(), self.network(source)
        share = None
        if isinstance(network, VisionNetwork):
            classes = self._classes()
            share = accuracy(network, self.targets, classes) if classes else None
        removal = training.removal
        row = Retrained(
            about=self.about,
            removal=removal.kind,
            removed=removal.count,
            train_items=self.train_items - removal.count,
            seed=training.seed,
            checkpoint_id=source.checkpoint.checkpoint_id,
            accuracy=share,
            untrained_checkpoint_id=self._before(training),
        )
        run = ended_run(
            EXPERIMENT,
            {**vars(self.about), "removal": removal.name, "seed": training.seed},
            begun,
            source.checkpoint.checkpoint_id,
            device=network.facts.device,
            flow_run_id=self.flow_run_id,
            seed=training.seed,
        )
        networks = [(source.checkpoint, network.facts)]
        record_attributions(self.store, run, networks, [self.targets.dataset], retrained=[row], on_wait=self.on_wait)
        return share

    def _classes(self) -> dict[int, int]:
        """The class of each target as the training numbers it, none where the training knows other classes or none."""
        try:
            names = class_names(self.train)
            own, found = set(self.targets.item_ids), class_numbers(self.targets, known=names)
        except BadInput:
            return {}
        return {item: number for item, number in found.items() if item in own}


def by_removal(trainings: Mapping[CheckpointSource, Without]) -> dict[str, list[CheckpointSource]]:
    """The networks of each removal, by its name."""
    found: dict[str, list[CheckpointSource]] = {}
    for source, one in trainings.items():
        found.setdefault(one.removal.name, []).append(source)
    return found
