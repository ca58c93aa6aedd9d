"""Does a concept go where its training items go? Networks trained anew without those that it is owed to, and without as many
others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from service.experiments.progress import Progress, tell
from service.experiments.removals import NOTHING, Ranked, Removal
from service.experiments.side_processes import all_done, processes
from service.experiments.small_networks import PROCESSES, training_in
from service.networks.checkpoints import CheckpointSource, find_checkpoints
from service.networks.retraining import UNTRAINED, Retraining, retrain, untrained
from service.networks.training_sets import TrainingSet
from service.subjects import content_id

SUBSET_SHARE = 0.5


@dataclass(frozen=True)
class Base:
    """The network that is trained anew: its checkpoint, the name of its training items as they are opened, how it was trained,
    and the `folder` and the `device` for those that are trained like it."""

    source: CheckpointSource
    dataset: str
    said: TrainingSet
    folder: Path = field(compare=False)
    device: str = field(default="cpu", compare=False)

    @property
    def place(self) -> Path:
        """Its checkpoint folder."""
        return Path(self.source.location)

    @property
    def name(self) -> str:
        """How trainings like its own are called: by its name, architecture, data and recipe, not by its weights."""
        recipe = {
            name: value
            for name, value in vars(self.said.recipe).items()
            if name not in ("seed", "threads", "save_steps")
        }
        architecture = self.said.architecture or self.source.checkpoint.revision  # a note may say none
        told = content_id("training", self.said.dataset_digest, self.said.items_digest, recipe, architecture)
        return f"{self.source.checkpoint.model}-{told[:6]}"

    def members(self, count: int) -> dict[str, Retraining]:
        """An ensemble of so many seeds, by name."""
        return {f"{self.name}-seed-{seed}": Retraining(self.place, self.dataset, seed) for seed in range(count)}

    def untrained(self, count: int) -> list[CheckpointSource]:
        """What each seed of the ensemble was before its first step: checkpoints of its members. Those that are not there are
        made. Raises BadInput, NetworkMismatch, StoreBusy."""
        members = self.members(count)
        if not self.has_untrained(count):
            with training_in(self.folder):
                for name, job in members.items():
                    untrained(self.place, job.seed, self.folder / name)
        return [find_checkpoints(str(self.folder / name / UNTRAINED))[0] for name in members]

    def has_untrained(self, count: int) -> bool:
        """Whether all of these are there."""
        return all((self.folder / name / UNTRAINED).is_dir() for name in self.members(count))

    def without(self, ranked: Ranked, removals: Sequence[Removal], count: int) -> dict[str, Without]:
        """The trainings without some items, so many seeds of each removal, by name, which says what is left out: another
        ranking trains other networks, and two that leave out the same share theirs. Raises BadInput."""
        found = {}
        for removal in removals:
            for seed in range(count):
                removed = frozenset(ranked.removed(removal, seed).tolist())
                job = Retraining(self.place, self.dataset, seed, removed)
                found[f"{self.name}-{removal.name}-seed-{seed}-{_told(removed)}"] = Without(removal, seed, job)
        return found

    def halves(self, items: Sequence[int], count: int, seed: int) -> dict[str, Retraining]:
        """Trainings on random halves of the items, by name."""
        found = {}
        for number in range(count):
            drawn = np.random.default_rng([seed, number]).permutation(items)
            removed = frozenset(drawn[round(len(items) * SUBSET_SHARE) :].tolist())
            found[f"{self.name}-half-{number}-{_told(removed)}"] = Retraining(self.place, self.dataset, 0, removed)
        return found

    def mislabelled(self, classes: Mapping[int, int], share: float, seed: int) -> dict[str, Retraining]:
        """A training with wrong classes for a share of the items, the seed's draw."""
        draw = np.random.default_rng(seed)
        items, known = sorted(classes), sorted(set(classes.values()))
        chosen = sorted(draw.choice(items, max(1, round(share * len(items))), replace=False).tolist())
        wrong = {item: int(draw.choice([one for one in known if one != classes[item]])) for item in chosen}
        told = content_id("wrong labels", sorted(wrong.items()))[:6]
        return {f"{self.name}-mislabelled-{told}": Retraining(self.place, self.dataset, 0, relabelled=wrong)}

    def trained(self, jobs: Mapping[str, Retraining]) -> list[CheckpointSource]:
        """The checkpoints of these trainings; those that are not there are trained, two at a time. Raises BadInput,
        StoreBusy."""
        step = self.said.recipe.steps
        lacking = {name: replace(job, device=self.device) for name, job in jobs.items() if not self.are_trained([name])}
        if len(lacking) == 1:  # no process of its own, which takes longer to start than to train
            with training_in(self.folder):
                for name, job in lacking.items():
                    tell(Progress("train", name, len(jobs) - 1, len(jobs), "networks"))
                    retrain(job, self.folder / name)
        elif lacking:
            with training_in(self.folder), processes(PROCESSES) as pool:
                done = len(jobs) - len(lacking)
                all_done(pool, {name: (retrain, job, self.folder / name) for name, job in lacking.items()}, before=done)
        return [find_checkpoints(str(self.folder / name / f"step{step}"))[0] for name in jobs]

    def are_trained(self, names: Iterable[str]) -> bool:
        """Whether all of the trainings of these names are there."""
        return all((self.folder / name / f"step{self.said.recipe.steps}").is_dir() for name in names)


def _told(removed: Iterable[int]) -> str:
    """What is left out, in six hex digits of a name."""
    return content_id("left out", sorted(removed))[:6]


@dataclass(frozen=True)
class Without:
    """A training without what a removal takes away."""

    removal: Removal
    seed: int
    job: Retraining


def unchanged(base: Base, count: int) -> dict[str, Without]:
    """The ensemble itself as trainings that nothing was removed from."""
    return {name: Without(NOTHING, job.seed, job) for name, job in base.members(count).items()}
