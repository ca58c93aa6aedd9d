"""The scores of early warnings, as rows of the ledger and the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.storage import ledger
from service.storage.database import OnWait, Store
from service.storage.rows import Run, record_tables, run_row


def record_scores(
    store: Store, run: Run, study: str, rows: Sequence[Mapping[str, Any]], on_wait: OnWait = None
) -> None:
    """Record a study's `rows` (columns of early_warning_scores without run_id) with the run that made them.

    Raises StoreBusy, StoreNotWritable, StoreCorrupt.
    """
    tables = {
        "early_warning_scores": [{**row, "run_id": run.run_id} for row in rows],
        "runs": [run_row(run, run.seconds) | {"model": study}],
    }
    record_tables(store, run.run_id, {name: ledger.arrow_table(name, found) for name, found in tables.items()}, on_wait)
