"""What a running training says, and what was measured inside it, as rows of the ledger and the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import text

from service.results import ProbeResult, TrainingStep
from service.storage import ledger
from service.storage.database import OnWait, Store, looking
from service.storage.faults import naming_faults
from service.storage.rows import Run, record_tables, run_row


@dataclass(frozen=True, eq=False)
class TrainingEntry:
    """A stretch of one training: logged steps from `source` (``monitor`` or a file's name), and what was measured on the
    probe batch `dataset`; `measures` as rows of that table."""

    run: Run
    model: str
    source: str
    steps: Sequence[TrainingStep] = ()
    dataset: str | None = None
    measures: Sequence[Mapping[str, Any]] = ()
    results: Sequence[ProbeResult] = ()


@dataclass(frozen=True, eq=False)
class Imported:
    """What is known of a training's losses: the steps as the view shows them, those that a monitor saw itself, how many
    imports there were and when the newest ended (naive UTC; None where there was none)."""

    steps: Mapping[int, TrainingStep]
    monitored: frozenset[int]
    imports: int
    newest: datetime | None


def imported(store: Store, model: str, experiment: str, on_wait: OnWait = None) -> Imported:
    """The losses of a training as they are recorded now, imported by runs of `experiment`. Raises StoreBusy."""
    shown = "select step, loss, gradient_norm, update_norm, learning_rate, source from lab.training_losses"
    runs = "select count(*), max(finished_at) from main.runs where model = :model and experiment = :experiment"
    with looking(store, on_wait) as connection:
        rows = connection.execute(text(f"{shown} where model = :model"), {"model": model}).all()
        count, newest = connection.execute(text(runs), {"model": model, "experiment": experiment}).one()
    steps = {row[0]: TrainingStep(*row[:5]) for row in rows}
    return Imported(steps, frozenset(row[0] for row in rows if row[5] == "monitor"), count, newest)


def record_training(store: Store, entry: TrainingEntry, on_wait: OnWait = None) -> None:
    """Record a stretch of a training in the ledger and in the database; recording it again changes nothing.

    Raises StoreBusy, StoreNotWritable, StoreCorrupt.
    """
    record_tables(store, entry.run.run_id, training_tables(entry), on_wait)


def leave_in_ledger(place: Path | str, entry: TrainingEntry) -> None:
    """Write a stretch of a training to the ledger of the store at `place` alone. No lock is asked for: whoever holds the
    database is not waited for, and the next command that opens the store adds the rows. A run that is there stays as it is.
    Raises StoreNotWritable, StoreUnreachable."""
    store = Store(place, 0)
    folder = store.ledger
    with naming_faults(store.name):
        if ledger.holds(folder, entry.run.run_id):
            return
        with ledger.drafted(folder, entry.run.run_id, training_tables(entry)) as draft:
            ledger.enter(folder, draft)


def training_tables(entry: TrainingEntry) -> dict[str, pa.Table]:
    """The rows of a stretch, by table; a table without rows is not there."""
    rows: dict[str, list[dict[str, Any]]] = {
        "measures": [dict(row) for row in entry.measures],
        "training_losses": [_step_row(entry, step) for step in entry.steps],
        "training_metrics": [_result_row(entry, result) for result in entry.results],
        "runs": [run_row(entry.run, entry.run.seconds) | {"dataset": entry.dataset, "model": entry.model}],
    }
    return {name: ledger.arrow_table(name, found) for name, found in rows.items() if found}


def _step_row(entry: TrainingEntry, step: TrainingStep) -> dict[str, Any]:
    return {"model": entry.model, "run_id": entry.run.run_id, "source": entry.source, **vars(step)}


def _result_row(entry: TrainingEntry, result: ProbeResult) -> dict[str, Any]:
    row = {name: value for name, value in vars(result).items() if name != "estimate"}
    return {"model": entry.model, "dataset": entry.dataset, "run_id": entry.run.run_id, **row, **vars(result.estimate)}
