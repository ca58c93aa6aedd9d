"""The database is fed from the ledger: subjects once, facts once a run, and never two things under one name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, text

from service.errors import BadInput, NetworkMismatch
from service.storage import ledger
from service.storage.places import Place
from service.storage.schema import metadata

SUBJECTS = ("models", "checkpoints", "datasets", "measures", "concepts")
# a site that was read again has other states; what else is there already is an error, for a run is fed once
AGAIN = {
    **dict.fromkeys(SUBJECTS, "on conflict do nothing"),
    "activations": (
        "on conflict (site_id) do update set points = excluded.points, width = excluded.width, dtype = excluded.dtype, "
        "attention = excluded.attention, tokens_seen = excluded.tokens_seen, non_finite = excluded.non_finite, "
        "digest = excluded.digest, run_id = excluded.run_id where activations.digest <> excluded.digest"
    ),
}
FACTS = sorted(set(metadata.tables) - set(AGAIN) - {"runs"})
ORDER = (*AGAIN, *FACTS, "runs")  # subjects before what refers to them, and a run when all of it is there


def recorded_runs(connection: Connection) -> set[str]:
    """The runs that the database holds."""
    return set(connection.execute(text("select run_id from runs")).scalars())


def insert(connection: Connection, tables: ledger.Tables) -> None:
    """Add a run's rows. Raises NetworkMismatch or BadInput where a name stands for something else already."""
    refuse_mixture(connection, tables)
    for name in ORDER:
        if name in tables and tables[name].num_rows:
            _insert(connection, name, tables[name])


def _insert(connection: Connection, name: str, rows: pa.Table) -> None:
    driver: Any = connection.connection.driver_connection
    driver.register("incoming", rows)
    try:
        columns = ", ".join(f'"{column}"' for column in rows.column_names)
        connection.exec_driver_sql(
            f"insert into main.{name} ({columns}) select {columns} from incoming {AGAIN.get(name, '')}"
        )
    finally:
        driver.unregister("incoming")


def catch_up(connection: Connection, folder: Place) -> int:
    """Add the ledger's runs that the database lacks, oldest first; how many they were."""
    lacking = ledger.lacking(folder, recorded_runs(connection))
    finished = {run: ledger.read_table(folder, run, "runs")["finished_at"][0].as_py() for run in lacking}
    for run_id in sorted(lacking, key=lambda run: (finished[run], run)):
        insert(connection, ledger.read(folder, run_id))
    return len(lacking)


def refuse_mixture(connection: Connection, tables: ledger.Tables) -> None:
    """Raise NetworkMismatch or BadInput where a name of `tables` stands for something else in the database."""
    for row in _rows(tables, "models"):
        _refuse_model(connection, row)
    for row in _rows(tables, "checkpoints"):
        _refuse_checkpoint(connection, row)
    for row in _rows(tables, "datasets"):
        _refuse_dataset(connection, row)


def _rows(tables: ledger.Tables, name: str) -> list[dict[str, Any]]:
    return tables[name].to_pylist() if name in tables else []


def _refuse_model(connection: Connection, row: Mapping[str, Any]) -> None:
    query = "select family, layers, width, parameters from models where model = :model"
    known = connection.execute(text(query), {"model": row["model"]}).one_or_none()
    if known is not None and tuple(known) != (row["family"], row["layers"], row["width"], row["parameters"]):
        raise NetworkMismatch(
            f"{row['model']} is recorded as {known.family} of {known.layers} layers, width {known.width} and "
            f"{known.parameters} parameters; this one is {row['family']} of {row['layers']} layers, width "
            f"{row['width']} and {row['parameters']} parameters: give it another --name"
        )


def _refuse_checkpoint(connection: Connection, row: Mapping[str, Any]) -> None:
    query = "select revision from checkpoints where model = :model and step = :step and checkpoint_id <> :checkpoint_id"
    names = ("model", "step", "checkpoint_id")
    other = connection.execute(text(query), {name: row[name] for name in names}).scalar()
    if other is not None:
        raise NetworkMismatch(
            f"{row['model']} step {row['step']} is recorded with the weights of revision {other}; these are of "
            f"revision {row['revision']}: give this network another --name"
        )


def _refuse_dataset(connection: Connection, row: Mapping[str, Any]) -> None:
    query = "select digest from datasets where dataset = :dataset"
    known = connection.execute(text(query), {"dataset": row["dataset"]}).scalar()
    if known is not None and known != row["digest"]:
        raise BadInput(
            f"the content of {row['dataset']} changed since it was recorded (digest {known}, now {row['digest']}): "
            "give it another name, or use another store"
        )
