"""The ledger: everything the database holds, as Parquet beside the summaries, one folder a run with one file a table.

It is written before the database, which is fed from it and can be made again from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import BigInteger, Boolean, DateTime, Double, Integer, String, Table

from service.errors import StoreCorrupt
from service.storage import drafts
from service.storage.schema import metadata

Tables = Mapping[str, pa.Table]
ARROW: dict[type, pa.DataType] = {
    BigInteger: pa.int64(),
    Integer: pa.int32(),
    Boolean: pa.bool_(),
    DateTime: pa.timestamp("us"),
    Double: pa.float64(),
    String: pa.string(),
}


def arrow_schema(table: Table) -> pa.Schema:
    """A table's columns as Arrow fields, in order."""
    return pa.schema([pa.field(column.name, ARROW[type(column.type)]) for column in table.columns])


def arrow_table(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of the table `name` as Arrow."""
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(metadata.tables[name]))


def run_ids(folder: Path) -> set[str]:
    """The runs that the ledger holds."""
    if not folder.is_dir():
        return set()
    return {entry.name for entry in os.scandir(folder) if entry.name != drafts.FOLDER and entry.is_dir()}


@contextmanager
def drafted(folder: Path, run_id: str, tables: Tables) -> Iterator[Path]:
    """A run's tables, on the disk under a draft name; `enter` gives them their place."""
    with drafts.draft(folder, run_id) as draft:
        inside = draft / run_id
        inside.mkdir()
        for name, table in tables.items():
            path = inside / f"{name}.parquet"
            pq.write_table(table, path, compression="zstd", write_page_checksum=True)
            drafts.sync(path)
        drafts.sync(inside)
        yield inside


def enter(folder: Path, draft: Path) -> None:
    """Give a drafted run its place in the ledger."""
    drafts.move(draft, folder / draft.name)


def read(folder: Path, run_id: str) -> dict[str, pa.Table]:
    """A run's tables. Raises StoreCorrupt where one cannot be read."""
    return {name: read_table(folder, run_id, name) for name in metadata.tables if _path(folder, run_id, name).exists()}


def read_table(folder: Path, run_id: str, name: str) -> pa.Table:
    """One table of a run. Raises StoreCorrupt."""
    path = _path(folder, run_id, name)
    try:
        found = pq.ParquetFile(path, page_checksum_verification=True).read()
        return _with_later_columns(found, metadata.tables[name])
    except (OSError, KeyError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise StoreCorrupt(
            f"the ledger's {path} cannot be read ({reason}): restore it, or move its folder away"
        ) from error


def _with_later_columns(found: pa.Table, table: Table) -> pa.Table:
    """The rows with the columns that the table gained since they were written, as NULL."""
    for column in table.columns:
        if column.name not in found.column_names and column.nullable:
            found = found.append_column(column.name, pa.nulls(len(found), ARROW[type(column.type)]))
    return found.select([column.name for column in table.columns]).cast(arrow_schema(table))


def fault(folder: Path, run_id: str) -> str | None:
    """What keeps a run of the ledger from being read, None if nothing does."""
    try:
        found = read(folder, run_id)
    except StoreCorrupt as error:
        return str(error)
    return None if "runs" in found else f"the ledger's {folder / run_id} says nothing of its run: restore it"


def _path(folder: Path, run_id: str, name: str) -> Path:
    return folder / run_id / f"{name}.parquet"
