"""The ledger: everything the database holds, as Parquet beside the summaries, one folder a run with one file a table.

It is written before the database, which is fed from it and can be made again from it. A run appears whole: a folder is
renamed; in an object store, which renames nothing, the table of runs comes last, and a run without it is not there yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import BigInteger, Boolean, DateTime, Double, Integer, String, Table

from service.errors import StoreCorrupt
from service.storage import drafts, places
from service.storage.objects import ObjectPath, age
from service.storage.places import Place
from service.storage.schema import metadata

Tables = Mapping[str, pa.Table]
LAST = "runs"
LONGEST_ENTRY = (
    3600.0  # seconds within which a living writer has surely put the last table of a run into an object store
)
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


@dataclass(frozen=True)
class Bodies:
    """A run's tables as files' contents, on their way to an object store."""

    name: str
    files: Mapping[str, bytes]


Draft = Path | Bodies


def run_ids(folder: Place) -> set[str]:
    """The runs that the ledger holds, with those that an object store holds in part."""
    return places.folders(folder)


def whole(folder: Place, runs: Iterable[str]) -> set[str]:
    """Those of the ledger's runs that are there whole."""
    if not isinstance(folder, ObjectPath):
        return set(runs)
    there = folder.which_are_files([f"{run_id}/{LAST}.parquet" for run_id in runs])
    return {name.partition("/")[0] for name in there}


def lacking(folder: Place, recorded: set[str]) -> set[str]:
    """The whole runs of the ledger that are not among those recorded."""
    return whole(folder, run_ids(folder) - recorded)


def holds(folder: Place, run_id: str) -> bool:
    """Whether the ledger has the whole run."""
    return bool(whole(folder, [run_id])) if isinstance(folder, ObjectPath) else (folder / run_id).exists()


def unfinished(folder: Place, recorded: set[str]) -> list[ObjectPath]:
    """The runs of an object store whose writers died before the last table; a folder has drafts instead."""
    if not isinstance(folder, ObjectPath):
        return []
    runs = run_ids(folder) - recorded
    parts = [folder / run_id for run_id in sorted(runs - whole(folder, runs))]
    return [part for part in parts if (found := part.listing()) and min(map(age, found)) > LONGEST_ENTRY]


def tidy(folder: Place, recorded: set[str]) -> None:
    """Remove what dead writers left of runs in an object store."""
    for part in unfinished(folder, recorded):
        part.remove()


@contextmanager
def drafted(folder: Place, run_id: str, tables: Tables) -> Iterator[Draft]:
    """A run's tables, on the disk under a draft name or ready to be sent; `enter` gives them their place."""
    if isinstance(folder, ObjectPath):
        yield Bodies(run_id, {name: _as_bytes(table) for name, table in tables.items()})
        return
    with drafts.draft(folder, run_id) as draft:
        inside = draft / run_id
        inside.mkdir()
        for name, table in tables.items():
            drafts.write_bytes(inside / f"{name}.parquet", _as_bytes(table))
        drafts.sync(inside)
        yield inside


def _as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return cast(bytes, sink.getvalue().to_pybytes())


def enter(folder: Place, draft: Draft) -> None:
    """Give a drafted run its place in the ledger."""
    if isinstance(draft, Path):
        drafts.move(draft, Path(str(folder)) / draft.name)
        return
    for name in sorted(draft.files, key=lambda name: name == LAST):
        _path(folder, draft.name, name).write_bytes(draft.files[name])


def read(folder: Place, run_id: str) -> dict[str, pa.Table]:
    """A run's tables. Raises StoreCorrupt where one cannot be read."""
    there = places.sizes(folder / run_id)
    return {name: read_table(folder, run_id, name) for name in metadata.tables if f"{name}.parquet" in there}


def read_table(folder: Place, run_id: str, name: str) -> pa.Table:
    """One table of a run. Raises StoreCorrupt, StoreUnreachable."""
    path = _path(folder, run_id, name)
    try:
        body = pa.BufferReader(path.read_bytes())
        found = pq.ParquetFile(body, page_checksum_verification=True).read()
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


def fault(folder: Place, run_id: str) -> str | None:
    """What keeps a run of the ledger from being read, None if nothing does."""
    try:
        found = read(folder, run_id)
    except StoreCorrupt as error:
        return str(error)
    return None if "runs" in found else f"the ledger's {folder / run_id} says nothing of its run: restore it"


def _path(folder: Place, run_id: str, name: str) -> Place:
    return folder / run_id / f"{name}.parquet"
