"""From a command line to what is edited: a checkpoint, tasks, a grid of edits, and the networks that draw the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from service.errors import BadInput
from service.experiments.edit_grid import Grid
from service.experiments.edit_judging import General, Judging
from service.experiments.edit_networks import Editor
from service.experiments.edit_parts import Asked, Part, asked_of
from service.networks.checkpoints import CheckpointSource, find_checkpoints
from service.networks.class_labels import told_classes
from service.networks.datasets import open_dataset
from service.networks.edit_tasks import Task, read_task
from service.networks.edits import Delta
from service.subjects import Edit, EditMethod

Opened = Callable[[str], Any]


@dataclass(frozen=True, eq=False)
class Request:
    """What is edited, how, and beside which untouched networks it is judged."""

    parts: tuple[Part, ...]
    grid: Grid
    line: tuple[CheckpointSource, ...]

    @property
    def model(self) -> str:
        """What the store calls the edited network."""
        return self.parts[0].source.checkpoint.model

    @property
    def datasets(self) -> list[str]:
        """What the store calls the datasets that robustness is judged on."""
        return sorted({part.asked.general.items.dataset.name for part in self.parts})

    @property
    def untouched(self) -> list[tuple[CheckpointSource, General]]:
        """The untouched networks that are judged, each on every sample that edits are judged on."""
        samples = {part.asked.general.sample: part.asked.general for part in self.parts}
        sources = list(dict.fromkeys([self.parts[0].source, *self.line]))
        return [(source, general) for general in samples.values() for source in sources]

    def refuse(self, editor: Editor) -> None:
        """Load the network and raise, before anything is done, what any edit would: BadInput, UnknownName, NetworkMismatch."""
        first = {part.asked.task_id: part for part in self.parts}
        for part in first.values():
            _ = part.asked.general.corruptions, editor.bench(part).sets
            for edit in editor.edits(part, {}):
                editor.bench(part).refuse(edit)

    def is_answered(self, editor: Editor) -> bool:
        """Whether all of it is recorded; loads the network. Raises as `refuse` does, StoreBusy."""
        self.refuse(editor)
        if any(editor.lacks_untouched(source, general) for source, general in self.untouched):
            return False
        if any(editor.untried(search) for search in editor.searches(self.parts[0])):
            return False
        chosen = editor.known(self.parts[0])
        return not any(editor.lacking(part, chosen) for part in self.parts)

    def edits(self, editor: Editor) -> list[Edit]:
        """Every edit that is asked, once what chooses their settings is recorded. Raises what loading the network does."""
        chosen = editor.known(self.parts[0])
        return [edit for part in self.parts for edit in editor.edits(part, chosen)]


def asked_edits(
    model: str,
    tasks: Sequence[Task],
    grid: Grid,
    judging: Judging,
    revisions: Sequence[str] = (),
    line: Sequence[str] | None = None,
    name: str | None = None,
    saved: Delta | None = None,
) -> Request:
    """What a command line or a deployment's parameters ask. The last checkpoint that they name is edited; where no networks are
    named for the line, the model's other checkpoints draw it. A `saved` edit is judged on the cases that its own seed draws.

    Raises UnknownName, NetworkMismatch, BadInput.
    """
    if not tasks:
        raise BadInput("an edit needs a task: give --task FILE.toml")
    if saved is not None:
        _refuse_settings(grid)
    source = find_checkpoints(model, revisions, name)[-1]
    others = [found for one in line or () for found in find_checkpoints(one)]
    if line is None and not revisions:
        others = find_checkpoints(model, (), name)
    opened: Opened = lru_cache(maxsize=None)(open_dataset)
    told = told_classes(source.location, source.hub_revision)
    asked = [asked_of(task, judging, opened, told) for task in tasks]
    seeds = range(grid.seeds) if saved is None else [saved.edit.seed]
    parts = tuple(Part(source, one, seed) for one in asked for seed in seeds)
    _refuse_twice(asked)
    return Request(parts, grid, tuple(one for one in others if one != source))


def asked_methods(methods: Sequence[str] | None, saved: Delta | None) -> tuple[EditMethod, ...]:
    """The methods, or that of a saved edit. Raises BadInput where both or neither are given."""
    if (saved is None) == (not methods):
        raise BadInput("an edit is fitted by --method, or read from a file by --delta: give one of the two")
    return tuple(methods or ()) if saved is None else (saved.edit.method,)  # type: ignore[arg-type]


def read_tasks(paths: Sequence[Path | str]) -> list[Task]:
    """The tasks of some files. Raises BadInput."""
    return [read_task(Path(path)) for path in paths]


def _refuse_settings(grid: Grid) -> None:
    """What is asked of an edit that is fitted says nothing of a saved one."""
    given = {
        "--layer": grid.layers is not None,
        "--rank": grid.ranks is not None,
        "--alpha": grid.alphas is not None,
        "--steps": grid.steps is not None,
        "--rate": grid.learning_rate is not None,
        "--seeds": grid.seeds != 1,
        "--search": grid.budget > 0,
    }
    if any(given.values()):
        named = ", ".join(option for option, here in given.items() if here)
        raise BadInput(
            f"a saved edit is judged with the settings that it was fitted with: leave out {named}, or --delta"
        )


def _refuse_twice(asked: Sequence[Asked]) -> None:
    names = [one.task.name for one in asked]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"two tasks are called {twice!r}: give each a name of its own")
