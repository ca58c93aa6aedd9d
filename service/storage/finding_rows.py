"""What an experiment found of a checkpoint on a dataset, as rows of the ledger and the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import text

from service.storage import ledger
from service.storage.database import OnWait, Store, looking
from service.storage.rows import Run, parameters_text, record_tables, run_row

RECORDED = text(
    "select dataset, parameters from runs where experiment = :experiment and checkpoint_id = :checkpoint_id"
)
K = TypeVar("K")


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


def unrecorded(
    store: Store,
    experiment: str,
    checkpoint_id: str,
    wanted: Mapping[K, tuple[str, Mapping[str, Any]]],
    on_wait: OnWait = None,
) -> list[K]:
    """Those that are wanted, each a dataset and parameters, of which no run is recorded with just these; found in one look at
    the database. Raises StoreBusy."""
    with looking(store, on_wait) as connection:
        asked = {"experiment": experiment, "checkpoint_id": checkpoint_id}
        known = {tuple(row) for row in connection.execute(RECORDED, asked)}
    return [one for one, (dataset, given) in wanted.items() if (dataset, parameters_text(given)) not in known]


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
