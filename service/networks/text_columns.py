"""The other columns of a file of texts: a value for each text, read when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from service.errors import BadInput, UnknownName

PAIR = "+"  # between the names of two columns that hold pairs of texts


class Columns(Protocol):
    """Named columns beside the texts."""

    @property
    def names(self) -> Sequence[str]: ...

    def read(self, name: str) -> Sequence[object]:
        """The values of a column that is there, one for each text; None where there is none."""
        ...


@dataclass(frozen=True)
class ParquetColumns:
    """Those of a Parquet file; rows without a text are no texts."""

    path: Path
    text: str

    @property
    def names(self) -> Sequence[str]:
        """Their names in order."""
        import pyarrow.parquet as pq

        found: list[str] = pq.read_schema(self.path).names
        return found

    def read(self, name: str) -> Sequence[object]:
        """The column of that name."""
        import pyarrow.parquet as pq

        table = pq.read_table(self.path, columns=list({self.text, name}))
        values, texts = table.column(name).to_pylist(), table.column(self.text).to_pylist()
        return [value for value, text in zip(values, texts, strict=True) if text is not None]


@dataclass(frozen=True)
class JsonLinesColumns:
    """The fields of a JSON-lines file's objects."""

    path: Path

    def _rows(self) -> list[dict[str, object]]:
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    @property
    def names(self) -> Sequence[str]:
        """Their names, as they first come."""
        return list(dict.fromkeys(name for row in self._rows() for name in row))

    def read(self, name: str) -> Sequence[object]:
        """The field of that name."""
        return [row.get(name) for row in self._rows()]


@dataclass(frozen=True, eq=False)
class HubColumns:
    """Those of a Hugging Face dataset."""

    rows: Any

    @property
    def names(self) -> Sequence[str]:
        """Their names in order."""
        return list(self.rows.column_names)

    def read(self, name: str) -> Sequence[object]:
        """The column of that name."""
        return list(self.rows[name])


def columns_of_file(path: Path, text: str) -> Columns | None:
    """The columns of a file of texts, the texts themselves in `text`; None where it has none."""
    if path.suffix == ".parquet":
        return ParquetColumns(path, text)
    return JsonLinesColumns(path) if path.suffix in {".jsonl", ".ndjson"} else None


def column_by_item(columns: Columns | None, name: str, origins: Sequence[int], dataset: str) -> dict[int, object]:
    """What a column holds for each item of a dataset, item k being of the text `origins[k]`. Raises UnknownName, BadInput."""
    if columns is None:
        raise BadInput(
            f"{dataset} has no columns: a Parquet or JSON-lines file or a hub dataset has, and json:FILE labels any items"
        )
    if name not in (known := columns.names):
        raise UnknownName.of(f"column of {dataset}", name, known)
    values = columns.read(name)
    return {item: values[text] for item, text in enumerate(origins)}
