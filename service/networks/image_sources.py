"""Where images come from: scikit-learn's digits, folders, Parquet files, and Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import UnknownName
from service.networks import text_sources
from service.networks.pictures import SUFFIXES, Encoded

DIGITS = "digits"
SPLITS = ("train", "test")
TEST_SHARE = 0.2
NAMES = ("image", "img", "picture", "pixels")  # what a column of images is called where there are several


@dataclass(frozen=True, eq=False)
class Images:
    """Images with where they are from, in their own order; `item_ids` count those of the whole source, and where its splits are
    numbered together, so that an item has one id in every split, `source_ids` are all of them (else none). `labels` name them
    in messages, `columns` what else is known of them, and `values` gives a column."""

    name: str
    source: str
    item_ids: tuple[int, ...]
    encoded: Sequence[Encoded]
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    values: Callable[[str], Sequence[object]]
    revision: str | None = None
    split: str | None = None
    licence: str | None = None
    source_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Held:
    """Columns that lie in memory."""

    columns: dict[str, Sequence[object]]

    def __call__(self, name: str) -> Sequence[object]:
        return self.columns[name]


def find_images(name: str) -> Images | None:
    """The images of that name; None where it stands for no images. Raises UnknownName, BadInput."""
    if name == DIGITS or name.startswith(f"{DIGITS}:"):
        return _digits(name.partition(":")[2])
    if name.startswith("hf:"):
        return _hub_images(name)
    path, column = Path(name).expanduser(), None
    if not path.exists() and ":" in name:
        head, _, column = name.rpartition(":")
        path = Path(head).expanduser()
    if path.is_dir():
        return _folder(path) if column is None else None
    if path.suffix == ".parquet" and path.is_file():
        return _parquet(path, column)
    return None


@lru_cache(maxsize=3)
def _digits(split: str) -> Images:
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries, its 17 shades spread over 0 to 255."""
    import sklearn
    from sklearn.datasets import load_digits

    if split and split not in SPLITS:
        raise UnknownName.of(f"split of {DIGITS}", split, SPLITS)
    found: Any = load_digits()
    kept = _split(found.target, split)
    pixels = np.rint(found.images[kept] * (255 / 16)).astype(np.uint8)[..., None]
    labels = {"label": [int(label) for label in found.target[kept]]}
    return Images(
        name=f"{DIGITS}:{split}" if split else DIGITS,
        source="sklearn.datasets.load_digits",
        item_ids=tuple(int(row) for row in kept),
        encoded=list(pixels),
        labels=tuple(f"digit {row}" for row in kept),
        columns=("label",),
        values=Held(dict(labels)),
        revision=sklearn.__version__,
        split=split or None,
        licence="CC-BY-4.0",
        source_ids=tuple(range(len(found.target))),
    )


def _split(classes: Any, split: str) -> Any:
    """The rows of a split, seeded and with the same share of every class."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(classes))
    if not split:
        return rows
    train, test = train_test_split(rows, test_size=TEST_SHARE, stratify=classes, random_state=0)
    return np.sort(train if split == "train" else test)


def _folder(path: Path) -> Images | None:
    """The images of a folder and those in it, ordered by path; the first folder below is the class, where there is one."""
    files = sorted(file.relative_to(path) for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    texts = sum(1 for file in path.rglob("*") if file.suffix in text_sources.SUFFIXES)
    if len(files) <= texts:
        return None
    columns: dict[str, Sequence[object]] = {"path": [file.as_posix() for file in files]}
    if all(len(file.parts) > 1 for file in files):
        columns["label"] = [file.parts[0] for file in files]
    return Images(
        name=path.resolve().name,
        source=str(path.resolve()),
        item_ids=tuple(range(len(files))),
        encoded=[path / file for file in files],
        labels=tuple(str(path / file) for file in files),
        columns=tuple(columns),
        values=Held(columns),
    )


@dataclass(frozen=True)
class ParquetColumns:
    """The other columns of a Parquet file, read when they are asked for; rows without an image are left out."""

    path: Path
    rows: tuple[int, ...]

    def __call__(self, name: str) -> Sequence[object]:
        import pyarrow.parquet as pq

        values = pq.read_table(self.path, columns=[name]).column(name).to_pylist()
        return [values[row] for row in self.rows]


def _parquet(path: Path, column: str | None) -> Images | None:
    """The images of a Parquet file; None where the column, or the file, is one of texts. Raises BadInput."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        chosen = _image_column(schema, column)
        values = pq.read_table(path, columns=[chosen]).column(chosen).to_pylist() if chosen else []
    except pa.ArrowInvalid:
        return None  # said where texts are looked for
    if chosen is None:
        return None
    encoded = {row: _bytes(value, path) for row, value in enumerate(values) if value is not None}
    called = path.resolve().name if column is None else f"{path.resolve().name}:{column}"
    return Images(
        name=called,
        source=str(path.resolve()),
        item_ids=tuple(encoded),
        encoded=list(encoded.values()),
        labels=tuple(f"row {row} of {path}" for row in encoded),
        columns=tuple(name for name in schema.names if name != chosen),
        values=ParquetColumns(path, tuple(encoded)),
    )


def _image_column(schema: Any, column: str | None) -> str | None:
    """The column of images: the asked one; else, in a file without texts, the one that is called so, or the only one."""
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    if column is not None:
        return column if column in candidates else None
    if "text" in schema.names:
        return None
    named = [name for name in NAMES if name in candidates]
    return named[0] if named else candidates[0] if len(candidates) == 1 else None


def _holds_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _bytes(value: Any, beside: Path) -> Encoded:
    """The encoded image: its bytes, or the file that its path names."""
    if isinstance(value, bytes):
        return value
    found = value.get("bytes")
    if found is None and value.get("path"):
        return beside.parent / value["path"]
    return found if found is not None else b""


def _hub_images(name: str) -> Images | None:
    """The images of a Hugging Face dataset; None where the column is none of images. Raises UnknownName, BadInput."""
    rows, repository, split, column = text_sources.hub_rows(name)
    candidates = [one for one, kind in rows.features.items() if type(kind).__name__ == "Image"]
    if column is None and "text" not in rows.column_names and candidates:
        column = candidates[0]
    if column not in candidates:
        return None
    import datasets

    undecoded = rows.cast_column(column, datasets.Image(decode=False))[column]
    encoded = {row: _bytes(value, Path()) for row, value in enumerate(undecoded) if value is not None}
    others = tuple(one for one in rows.column_names if one not in candidates)
    return Images(
        name=name,
        source=repository,
        item_ids=tuple(encoded),
        encoded=list(encoded.values()),
        labels=tuple(f"row {row} of {name}" for row in encoded),
        columns=others,
        values=Held({one: [rows[one][row] for row in encoded] for one in others}),
        revision=str(rows.info.version),
        split=split,
        licence=rows.info.license or None,
    )
