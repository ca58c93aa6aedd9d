"""Loss curves as trainers leave them: Trainer's ``trainer_state.json``, CSV, JSON lines, TensorBoard event files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from service.errors import BadInput
from service.networks.folders import step_of_name
from service.results import TrainingStep

NAMES = {
    "step": ("step", "global_step"),
    "loss": ("loss", "train_loss", "train/loss", "training_loss"),
    "gradient_norm": ("gradient_norm", "grad_norm", "train/grad_norm", "train/gradient_norm"),
    "update_norm": ("update_norm", "train/update_norm"),
    "learning_rate": ("learning_rate", "lr", "train/learning_rate", "train/lr"),
}
EVENTS = "events.out.tfevents"


def find_losses(folder: Path) -> Path | None:
    """Where the loss curve of a training's folder is, None where there is none: Trainer's newest state, else a log."""
    inside = [path for path in folder.iterdir() if path.is_dir() and step_of_name(path.name) is not None]
    states = [path / "trainer_state.json" for path in (folder, *inside)]
    found = [path for path in states if path.is_file()]
    if found:
        return max(found, key=lambda path: (step_of_name(path.parent.name) or math.inf, path.stat().st_mtime))
    logs = [path for pattern in ("*.jsonl", "*.csv") for path in sorted(folder.glob(pattern))]
    events = sorted(path.parent for path in folder.glob(f"**/{EVENTS}*"))
    return next(iter([*logs, *events]), None)


def read_losses(path: Path) -> list[TrainingStep]:
    """The logged steps, in order. Raises BadInput where there is no file, none that can be read, or no loss in it."""
    try:
        found = [step for entry in _entries(path) if (step := _step(entry))]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"the loss curve {path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    steps = {step.step: step for step in found}
    if not steps:
        raise BadInput(
            f"{path} holds no loss curve: it needs a step and a loss ({', '.join(NAMES['loss'])}) in each entry"
        )
    return [steps[step] for step in sorted(steps)]


def _entries(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.is_dir() or EVENTS in path.name:
        yield from _events(path)
    elif path.name == "trainer_state.json":
        yield from _objects(json.loads(path.read_text(encoding="utf-8"))["log_history"])
    elif path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8").split("\n")  # what follows the last newline may still be being written
        yield from _objects(json.loads(line) for line in lines[:-1] if line.strip())
    elif path.suffix == ".csv":
        whole, newline, _ = path.read_text(encoding="utf-8").rpartition("\n")  # as above
        yield from csv.DictReader(io.StringIO(whole + newline, newline=""))
    else:
        raise ValueError("give a trainer_state.json, a .jsonl, a .csv, or a TensorBoard folder")


def _objects(values: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    return (value for value in values if isinstance(value, Mapping))


def _events(path: Path) -> Iterator[Mapping[str, Any]]:
    """The scalars of TensorBoard's event files, a step at a time."""
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise BadInput("TensorBoard's event files need the extra isoscope[tensorboard]: pip install it") from error
    events = EventAccumulator(str(path), size_guidance={"scalars": 0})
    events.Reload()
    by_step: dict[int, dict[str, Any]] = {}
    for tag in events.Tags()["scalars"]:
        for scalar in events.Scalars(tag):
            by_step.setdefault(scalar.step, {"step": scalar.step})[tag] = scalar.value
    yield from by_step.values()


def _step(entry: Mapping[str, Any]) -> TrainingStep | None:
    """The entry as a step; None where it is of something else, as an evaluation is."""
    found = {name: _number(entry, keys) for name, keys in NAMES.items()}
    step, loss = found.pop("step"), found.pop("loss")
    if step is None or loss is None or step < 0:
        return None
    return TrainingStep(int(step), loss, **found)


def _number(entry: Mapping[str, Any], keys: Iterable[str]) -> float | None:
    given = next((entry[key] for key in keys if entry.get(key) not in (None, "")), None)
    return None if given is None else float(given)
