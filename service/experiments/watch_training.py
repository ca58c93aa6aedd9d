"""Watching a training: which checkpoints are ready to be measured, what its loss curve says, and what of it is news.

Whether something changed is told by comparing names, sizes and times of writing for equality, never by which is later:
clocks are set back.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service import __version__
from service.errors import BadInput
from service.networks.checkpoints import CheckpointSource, Network, find_checkpoints
from service.networks.folders import is_checkpoint, model_name, step_of_name
from service.networks.loss_curves import find_losses, read_losses
from service.networks.whole_folders import Snapshot, lacking, snapshot, training_checkpoints
from service.results import TrainingStep
from service.storage.answers import ask
from service.storage.database import OnWait, Store
from service.storage.rows import Run
from service.storage.training_rows import TrainingEntry, imported, record_training
from service.storage.watches import Told
from service.subjects import content_id

EXPERIMENT = "watch_training"
LATEST = 300.0  # seconds between two imports of a curve that grows without end, a twentieth of the watch's time so far
SPIKES = (
    "select step, last_step, expected, sigma, highest_loss, not_finite from lab.loss_spikes where model = ? order by 1"
)
WARNINGS = (
    "select step, last_step, dataset, layer, stream, excess_in_std_errors from lab.loss_spike_warnings "
    "where model = ? and is_newest order by 1"
)


@dataclass(frozen=True)
class Training:
    """A training's folder, in full, and what the store calls the model."""

    folder: Path
    model: str


def find_training(folder: str, name: str | None = None) -> Training:
    """The training that writes to `folder`. Raises BadInput where there is no such folder, or it is one checkpoint."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        reason = "is a file" if root.exists() else "does not exist"
        raise BadInput(
            f"{folder} {reason}: give the folder that a training writes its checkpoints to, once it is there"
        )
    root = root.resolve()
    if step_of_name(root.name) is not None and is_checkpoint(root):
        raise BadInput(f"{folder} is itself a checkpoint: give the folder around it, or use `isoscope shape {folder}`")
    return Training(root, name or model_name(root))


class Checkpoints:
    """The checkpoint folders of a training, looked at again and again."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.changed = True
        self._seen: dict[Path, Snapshot] = {}
        self._settled: dict[Path, Snapshot] = {}

    def look(self) -> list[Path]:
        """The folders that are whole, that nobody wrote to since the last look, and that are not settled as they are."""
        before, self._seen = self._seen, _snapshots(self.training.folder)
        self.changed = self._seen != before
        return [folder for folder, now in self._seen.items() if before.get(folder) == now and self._is_ready(folder)]

    def _is_ready(self, folder: Path) -> bool:
        if self._settled.get(folder) == self._seen[folder]:
            return False
        try:
            return lacking(folder) is None
        except OSError:  # it was deleted meanwhile
            return False

    def settle(self, folder: Path) -> None:
        """Offer the folder no more, unless something in it changes."""
        self._settled[folder] = self._seen[folder]

    def source(self, folder: Path) -> CheckpointSource:
        """The checkpoint in a folder. Raises NetworkMismatch, UnknownName, OSError where it is gone."""
        return find_checkpoints(str(folder), (), self.training.model)[0]

    def refuse_changed(self, network: Network, folder: Path) -> Network:
        """The network that was loaded from `folder`. Raises BadInput where its files were written to meanwhile; that they
        were deleted does not matter, once they were read."""
        try:
            now = set(snapshot(folder))
        except OSError:
            return network
        if not _of_the_network(now) <= _of_the_network(self._seen[folder]):
            raise BadInput(f"{folder} was written to while it was read")
        return network

    def unfinished(self) -> Iterator[tuple[Path, str]]:
        """The folders that are not whole, and what each lacks."""
        for folder in self._seen:
            try:
                said = lacking(folder)
            except OSError:
                continue
            if said is not None:
                yield folder, said


def _of_the_network(files: Iterable[tuple[str, int, int]]) -> set[tuple[str, int, int]]:
    return {file for file in files if file[0] == "config.json" or file[0].endswith(".safetensors")}


def _snapshots(root: Path) -> dict[Path, Snapshot]:
    found = {}
    for folder in training_checkpoints(root):
        try:
            found[folder] = snapshot(folder)
        except OSError:  # deleted between the two looks
            continue
    return found


class LossCurve:
    """The loss curve of a training, read again when its files have changed: `path`, or what is found in the folder.

    A curve that grows all the time is read at growing intervals, `every` seconds at first.
    """

    def __init__(self, training: Training, path: Path | None, every: float) -> None:
        self.training, self.path, self.every = training, path, every
        self.changed = False
        self._seen: tuple[Path, Snapshot] | None = None
        self._read: tuple[Path, Snapshot] | None = None
        self._begun = self._last = time.monotonic()

    def look(self, at_once: bool = False) -> Path | None:
        """The curve's file or folder if it is to be read now, `at_once` without regard to the last time."""
        before, self._seen = self._seen, self._now()
        self.changed = self._seen != before
        now = time.monotonic()
        pause = min(max((now - self._begun) / 20, self.every), LATEST)
        due = at_once or self._read is None or now - self._last >= pause
        return self._seen[0] if due and self._seen is not None and self._seen != self._read else None

    def _now(self) -> tuple[Path, Snapshot] | None:
        try:
            path = self.path or find_losses(self.training.folder)
            return (path, snapshot(path)) if path is not None else None
        except OSError:  # deleted between the two looks
            return None

    def settle(self) -> None:
        """Do not offer what was looked at again, unless it changes."""
        self._read, self._last = self._seen, time.monotonic()

    def take_in(self, store: Store, on_wait: OnWait = None) -> int:
        """Record the steps that are not recorded alike, and how many they were. Raises BadInput, StoreBusy and the
        store's other errors."""
        if self._seen is None:
            return 0
        path, folder = self._seen[0], self.training.folder
        source = str(path.relative_to(folder)) if path != folder and path.is_relative_to(folder) else path.name
        return import_losses(store, self.training.model, source, read_losses(path), on_wait)


def import_losses(store: Store, model: str, source: str, steps: list[TrainingStep], on_wait: OnWait = None) -> int:
    """Record a loss curve that was read from `source`; how many of its steps were not recorded alike.

    Where a training was begun again its new losses take the place of the old: the newest import stands. What a monitor
    saw itself stays.
    """
    known = imported(store, model, EXPERIMENT, on_wait)
    fresh = [step for step in steps if step.step not in known.monitored and known.steps.get(step.step) != step]
    if not fresh:
        return 0
    now = datetime.now(UTC).replace(tzinfo=None)
    ended = max(now, known.newest + timedelta(microseconds=1)) if known.newest else now
    run = Run(
        run_id=content_id("losses", model, source, known.imports, [list(vars(step).values()) for step in fresh]),
        experiment=EXPERIMENT,
        parameters={"losses": source},
        code_version=__version__,
        seed=0,
        device="none",
        prefect_flow_run_id=None,
        started_at=min(now, ended),
        finished_at=ended,
    )
    record_training(store, TrainingEntry(run, model, source, fresh), on_wait)
    return len(fresh)


def untold(store: Store, model: str, told: Told) -> Iterator[tuple[str, dict[str, Any]]]:
    """The loss spikes, and the warning that stands now, of which nobody was told: ``spike`` or ``warning`` with its row.

    Asks the published views. Whoever takes one is to remember it in `told`.
    """
    for kind, query in (("spike", SPIKES), ("warning", WARNINGS)):
        for row in ask(store, query, [model]).to_pylist():
            if not told.knows(kind, row["step"]):
                yield kind, {"model": model, **row}
