"""Texts, or pairs of texts, with the class of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import BadInput, UnknownName
from service.networks.text_columns import PAIR

COLUMNS = (("text", "text_pair", "label"), ("premise", "hypothesis", "label"), ("sentence1", "sentence2", "gold_label"))


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with their classes, counted from 0; `seconds` are the second texts of pairs. `dataset` is the name under which
    their states can be read, where they are of a file."""

    name: str
    texts: tuple[str, ...]
    labels: tuple[int, ...]
    seconds: tuple[str, ...] | None = None
    dataset: str | None = None

    def __len__(self) -> int:
        return len(self.texts)


def read_labelled(place: str, classes: Sequence[str] = ()) -> LabelledTexts:
    """The texts of a Parquet or JSON-lines file with the columns text, text_pair (if any) and label; or premise, hypothesis and
    label; or sentence1, sentence2 and gold_label, as MNLI and HANS have them. Labels are numbers, or names out of `classes`, of
    which one may be several: ``entailment``, ``neutral|contradiction``. The name tells files of other contents apart.

    Raises UnknownName (no such file), BadInput.
    """
    path = Path(place).expanduser()
    if not path.is_file():
        raise UnknownName(f"unknown file {place!r}: labelled texts are a Parquet or JSON-lines file")
    rows = _rows(path)
    if not rows:
        raise BadInput(f"{path} has no rows: labelled texts need a text and a label each")
    names = next((names for names in COLUMNS if names[0] in rows[0] and names[2] in rows[0]), None)
    if names is None:
        wanted = "; ".join(", ".join(names) for names in COLUMNS)
        raise BadInput(f"{path} has the columns {', '.join(rows[0])}; labelled texts need {wanted}")
    first, second, label = names
    try:
        texts = tuple(str(row[first]) for row in rows)
        seconds = tuple(str(row[second]) for row in rows) if second in rows[0] else None
        labels = tuple(_class(row[label], classes) for row in rows)
    except (KeyError, ValueError) as error:
        said = f"label {error}" if isinstance(error, ValueError) else f"no {error}"
        raise BadInput(f"{path} has a row with {said}: give --classes with the names of all classes") from error
    digest = hashlib.sha256(repr((texts, seconds, labels)).encode()).hexdigest()[:8]
    return LabelledTexts(
        f"{path.name}@{digest}",
        texts,
        labels,
        seconds,
        f"{path}:{first}{PAIR}{second}" if seconds else f"{path}:{first}",
    )


def _class(given: Any, classes: Sequence[str]) -> int:
    if isinstance(given, str) and not given.isdecimal():
        place = next((place for place, names in enumerate(classes) if given in names.split("|")), None)
        if place is None:
            raise ValueError(repr(given))
        return place
    return int(given)


def _rows(path: Path) -> list[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            return pq.read_table(path).to_pylist()
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (pa.ArrowInvalid, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path} is no readable Parquet or JSON-lines file: {reason}") from error
