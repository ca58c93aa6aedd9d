"""Answers of the published copy to questions in SQL, as Arrow, rows, CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from service.errors import BadInput
from service.storage import drafts
from service.storage.database import Store, reading
from service.storage.faults import first_line


def ask(store: Store, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pa.Table:
    """The answer to one query over the views of schema ``lab``; `parameters` fill its question marks, or its
    ``$names``.

    Raises SummaryMissing where nothing was published, BadInput for a query that cannot be answered.
    """
    with reading(store) as connection:
        try:
            connection.execute(sql, parameters)
            if connection.description is None:
                raise BadInput("the query is empty: give one such as 'select * from lab.models'")
            return connection.to_arrow_table()
        except duckdb.Error as error:
            raise BadInput(f"the query cannot be answered: {first_line(error)}") from error


def as_rows(table: pa.Table) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names, and rows of plain values."""
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    return list(table.column_names), list(zip(*columns, strict=True)) if columns else []


def _plain(value: Any) -> Any:
    """DuckDB sums integers to decimals: a whole one becomes an int, any other a float."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def as_csv(table: pa.Table) -> bytes:
    """Comma-separated values under a line of names; NULL is empty."""
    columns, rows = as_rows(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def as_json(table: pa.Table) -> bytes:
    """A list of objects, one a row; times in ISO form, and null where a number is not finite."""
    columns, rows = as_rows(table)
    found = [{name: _json(value) for name, value in zip(columns, row, strict=True)} for row in rows]
    return (json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _json(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(_plain(value))


def as_parquet(table: pa.Table) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def write_file(path: Path, body: bytes) -> None:
    """Write an answer to a file, whole or not at all. Raises BadInput."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.draft")
    try:
        drafts.write_bytes(draft, body)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True) if draft.parent.is_dir() else None
        raise BadInput(f"{path} cannot be written: {error.strerror}; name another file with --out") from error
