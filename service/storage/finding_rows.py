"""What an experiment found of a checkpoint on a dataset, as rows of the ledger and the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from service.storage import ledger
from service.storage.database import OnWait, Store, looking
from service.storage.rows import Run, record_tables, run_row

DONE = text(
    "select count(*) from runs where experiment = :experiment and checkpoint_id = :checkpoint_id "
    "and dataset = :dataset and parameters = :parameters"
)


@dataclass(frozen=True, eq=False)
class Findings:
    """The rows of one run on one checkpoint and dataset, by table and without the columns that all of them share."""

    run: Run
    checkpoint_id: str
    dataset: str
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    measures: Sequence[Mapping[str, Any]] = ()

    @property
    def rows(self) -> int:
        """How many rows were found."""
        return sum(map(len, self.tables.values()))


def is_done(
    store: Store,
    experiment: str,
    checkpoint_id: str,
    dataset: str,
    parameters: Mapping[str, Any],
    on_wait: OnWait = None,
) -> bool:
    """Whether a run with just these parameters is recorded. Raises StoreBusy."""
    asked = {"experiment": experiment, "checkpoint_id": checkpoint_id, "dataset": dataset}
    asked["parameters"] = json.dumps(dict(parameters), sort_keys=True, default=str)
    with looking(store, on_wait) as connection:
        return bool(connection.execute(DONE, asked).scalar())


def record_findings(
    store: Store,
    findings: Findings,
    on_wait: OnWait = None,
    shared: Sequence[str] = ("checkpoint_id", "dataset", "run_id"),
) -> None:
    """Record a run's rows in the ledger and in the database; recording them again changes nothing. `shared` are the columns
    that all rows are given.

    Raises StoreBusy, StoreNotWritable, StoreUnreachable, StoreCorrupt.
    """
    run = findings.run
    about = {"checkpoint_id": findings.checkpoint_id, "dataset": findings.dataset}
    given = {name: value for name, value in (about | {"run_id": run.run_id}).items() if name in shared}
    tables = {name: [given | dict(row) for row in rows] for name, rows in findings.tables.items() if rows}
    tables["runs"] = [run_row(run, run.seconds) | about]
    if findings.measures:
        tables["measures"] = [dict(row) for row in findings.measures]
    record_tables(store, run.run_id, {name: ledger.arrow_table(name, rows) for name, rows in tables.items()}, on_wait)
