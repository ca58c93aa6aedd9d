"""Where texts come from: what Python and its libraries carry, files, and Hugging Face datasets."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from service.errors import BadInput, UnknownName
from service.networks import cued_sentences
from service.networks.text_columns import PAIR, Columns, HubColumns, columns_of_file

LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")
SUFFIXES = (".txt", ".md", ".rst")
DOCSTRING = re.compile(r'^[ \t]*(?:class|def)\s[^\n]*:\n[ \t]*r?"""(.*?)"""', re.MULTILINE | re.DOTALL)
SHORTEST = 200  # characters of a docstring that is worth reading


@dataclass(frozen=True)
class Documents:
    """Texts with where they are from. `name` is the dataset's key in the store, before its options. `columns` are the other
    columns of their file, where it has any. `seconds` is of pairs of texts, which a space parts in `texts`: the character at
    which each one's second text starts."""

    name: str
    source: str
    texts: tuple[str, ...]
    revision: str | None = None
    split: str | None = None
    licence: str | None = None
    columns: Columns | None = None
    seconds: tuple[int, ...] = ()


def python_reference() -> Documents:
    """The language reference that every CPython carries."""
    import platform
    from pydoc_data.topics import topics

    texts = tuple(topics[topic] for topic in sorted(topics))
    return Documents(
        "python-reference", "pydoc_data.topics", texts, revision=platform.python_version(), licence="PSF-2.0"
    )


def library_docstrings() -> Documents:
    """The docstrings of functions and classes in the installed numpy, scipy, scikit-learn and torch, tests left out."""
    texts = [text for library in LIBRARIES for text in _docstrings(library)]
    versions = " ".join(f"{library} {importlib.metadata.version(library)}" for library in LIBRARIES)
    licence = "BSD-3-Clause"
    return Documents("library-docstrings", "installed packages", tuple(texts), revision=versions, licence=licence)


def _docstrings(library: str) -> Iterator[str]:
    files = importlib.metadata.files(library) or []
    for file in sorted(files, key=str):
        if file.suffix != ".py" or {"tests", "testing", "_inductor"} & set(file.parts):
            continue
        source = Path(str(file.locate())).read_text(encoding="utf-8", errors="replace")
        yield from (text for text in DOCSTRING.findall(source) if len(text) >= SHORTEST)


def cued() -> Documents:
    """The sentences of `cued_sentences` in which subject and verb agree."""
    return Documents(cued_sentences.NAME, "made by rules", cued_sentences.cued_sentences("in-distribution").texts)


BUILT_IN: dict[str, Callable[[], Documents]] = {
    "python-reference": python_reference,
    "library-docstrings": library_docstrings,
    cued_sentences.NAME: cued,
}
RANDOM = "random-tokens"
OTHERS = ("digits", "a file or folder of text or images", "hf:name:config:split")


def find_documents(name: str) -> Documents:
    """The texts of a built-in name, ``hf:name:config:split``, a file, a folder, or ``file:column``; pairs of texts of
    ``file:column+column``.

    Raises UnknownName, BadInput (no text in it, no such column, not UTF-8).
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if name.startswith("hf:"):
        return _hub_dataset(name)
    path, column = Path(name).expanduser(), "text"
    if not path.exists() and ":" in name:
        head, _, column = name.rpartition(":")
        path = Path(head).expanduser()
    if not path.exists():
        raise UnknownName.of("dataset", name, [*BUILT_IN, RANDOM, *OTHERS])
    called = path.resolve().name if column == "text" else f"{path.resolve().name}:{column}"
    first, _, second = column.partition(PAIR)
    texts, seconds = _pairs_of(path, first, second) if second else (_texts_of(path, column), ())
    if not any(text.strip() for text in texts):
        raise BadInput(f"{path} has no text in it: give a file with text")
    return Documents(called, str(path.resolve()), texts, columns=columns_of_file(path, first), seconds=seconds)


def _pairs_of(path: Path, first: str, second: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The pairs of texts of two columns, and where in each the second one starts."""
    left, right = _texts_of(path, first), _texts_of(path, second)
    if len(left) != len(right) or columns_of_file(path, first) is None:
        raise BadInput(f"{path} has not in every row a {first} and a {second}: pairs of texts need a file with both")
    return tuple(f"{a} {b}" for a, b in zip(left, right, strict=True)), tuple(len(text) + 1 for text in left)


def _texts_of(path: Path, column: str) -> tuple[str, ...]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix in SUFFIXES)
        if not files:
            raise BadInput(
                f"folder {path} has no text files: it needs files that end in {', '.join(SUFFIXES)}, or images"
            )
        return tuple(_read_text(file) for file in files)
    if path.suffix in {".jsonl", ".ndjson"}:
        return _json_lines(path, column)
    if path.suffix == ".parquet":
        return _parquet(path, column)
    return (_read_text(path),)


def _read_text(path: Path) -> str:
    body = path.read_bytes()
    if b"\0" in body:
        raise BadInput(f"{path} is a binary file: a dataset needs text in UTF-8")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not text in UTF-8 (byte {error.start}): convert it first") from error


def _json_lines(path: Path, column: str) -> tuple[str, ...]:
    texts = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            texts.append(str(json.loads(line)[column]))
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} line {number} has no field {column!r}: give {path.name}:FIELD") from error
    return tuple(texts)


def _parquet(path: Path, column: str) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        if column not in names:
            raise BadInput(f"{path} has no column {column!r}, it has {', '.join(names)}: give {path.name}:COLUMN")
        values = pq.read_table(path, columns=[column]).column(column).to_pylist()
    except pa.ArrowInvalid as error:
        raise BadInput(f"{path} is no readable Parquet file: {str(error).splitlines()[0]}") from error
    return tuple(str(value) for value in values if value is not None)


@lru_cache(maxsize=2)
def hub_rows(name: str) -> tuple[Any, str, str, str | None]:
    """A Hugging Face dataset's rows, its repository, split, and the column that the name asks for, None where it asks for none.

    Raises BadInput (what is no hub name, the extra is not installed), UnknownName.
    """
    parts = name.split(":")
    if len(parts) not in {3, 4, 5}:
        raise BadInput(f"a hub dataset is hf:NAME:CONFIG:SPLIT, or hf:NAME:CONFIG:SPLIT:COLUMN; got {name!r}")
    try:
        import datasets
    except ImportError as error:
        raise BadInput("Hugging Face datasets need the extra: pip install 'isoscope[hub]'") from error
    repository, config, split = (*parts[1:3], "test") if len(parts) == 3 else parts[1:4]
    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(repository, config or None, split=split)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UnknownName(f"dataset {name!r} could not be loaded from the hub or its cache: {reason}") from error
    return rows, repository, split, parts[4] if len(parts) == 5 else None


def _hub_dataset(name: str) -> Documents:
    rows, repository, split, asked = hub_rows(name)
    column = asked or "text"
    if column not in rows.column_names:
        raise BadInput(f"{name} has no column {column!r}, it has {', '.join(rows.column_names)}: add :COLUMN")
    info = rows.info
    texts = tuple(str(text) for text in rows[column])
    revision, licence = str(info.version), info.license or None
    return Documents(name, repository, texts, revision, split, licence, HubColumns(rows))
