"""What a running training says, and what was measured inside it, as rows of the ledger and the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from service.results import ProbeResult, TrainingStep
from service.storage import ledger
from service.storage.database import OnWait, Store
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


def record_training(store: Store, entry: TrainingEntry, on_wait: OnWait = None) -> None:
    """Record a stretch of a training in the ledger and in the database; recording it again changes nothing.

    Raises StoreBusy, StoreNotWritable, StoreCorrupt.
    """
    record_tables(store, entry.run.run_id, training_tables(entry), on_wait)


def leave_in_ledger(root: Path, entry: TrainingEntry) -> None:
    """Write a stretch of a training to the ledger of the store at `root` alone. No lock is asked for: whoever holds the
    database is not waited for, and the next command that opens the store adds the rows. A run that is there stays as it is.
    Raises StoreNotWritable."""
    folder = Store(root, 0).ledger
    with naming_faults(root):
        if (folder / entry.run.run_id).exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
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
