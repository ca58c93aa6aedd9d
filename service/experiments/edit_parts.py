"""What is edited: one task and one draw of its exemplars, for one checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from service.experiments.edit_judging import General, Judging, general_of
from service.networks.checkpoints import CheckpointSource
from service.networks.class_labels import class_names, class_numbers
from service.networks.edit_tasks import Task
from service.networks.image_datasets import ImageItems
from service.subjects import content_id


@dataclass(frozen=True, eq=False)
class Asked:
    """A task with the dataset that it is of, opened, and what else robustness is judged on."""

    task: Task
    items: Any
    general: General
    names: Mapping[str, int] | None = None  # of images the numbers of their classes by name

    @cached_property
    def task_id(self) -> str:
        """The task's id on that dataset, and of images on the classes that they have there, which its digest does not cover."""
        digest = self.items.dataset.digest
        if not isinstance(self.items, ImageItems):
            return self.task.task_id(digest)
        return self.task.task_id(content_id(digest, sorted(class_numbers(self.items, known=self.names).items())))


def asked_of(
    task: Task, judging: Judging, opened: Callable[[str], Any], told: Mapping[str, int] | None = None
) -> Asked:
    """A task with its datasets opened; `told` are the classes that the network names. Raises UnknownName, BadInput."""
    items = opened(task.dataset)
    general = items if judging.dataset is None else opened(judging.dataset)
    names = class_names(items, told=told) if isinstance(items, ImageItems) else None
    return Asked(task, items, general_of(task, items, general, judging, names), names)


@dataclass(frozen=True)
class Part:
    """One task and one draw of its exemplars, for one checkpoint."""

    source: CheckpointSource
    asked: Asked = field(hash=False)
    seed: int

    @property
    def label(self) -> str:
        """How people read it."""
        return f"{self.source.checkpoint.label}: {self.asked.task.name}, draw {self.seed}"

    @property
    def checkpoint_id(self) -> str:
        """Of what is edited."""
        return self.source.checkpoint.checkpoint_id


@dataclass(frozen=True)
class Outcome:
    """What was done of a part: the edits that were made, none where all were there."""

    label: str
    edits: tuple[str, ...]
    seconds: float
