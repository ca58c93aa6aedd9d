"""What a figure is drawn from: the rows of one public view, one panel a model and dataset."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import BadInput
from service.subjects import Checkpoint

Values = NDArray[np.float64]
KEYS = ("model", "kind", "step", "revision", "dataset", "layer", "stream")
TITLE_WIDTH = 48  # characters above one heat map


class Connection(Protocol):
    """An open database connection that reads schema ``lab``, as ``storage.reading()`` gives it."""

    def execute(self, query: str, parameters: object = ..., /) -> Any:
        """Run one statement; the answer has ``fetchall()``."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One model on one dataset.

    `checkpoints` are ordered by step, those without a step last; `layers` are depths from 0, each of the stream
    at the same place of `streams`. `columns` maps a view's column to a (checkpoints, layers) array, NaN where
    there is no value.
    """

    model: str
    kind: str
    dataset: str
    checkpoints: tuple[Checkpoint, ...]
    layers: tuple[int, ...]
    streams: tuple[str, ...]
    columns: Mapping[str, Values]

    @property
    def title(self) -> str:
        """Model and kind, then the dataset, each on a line of its own and long ones on more."""
        lines = f"{self.model} ({self.kind})", f"on {self.dataset}"
        return "\n".join(textwrap.fill(line, TITLE_WIDTH) for line in lines)

    @cached_property
    def stepped(self) -> tuple[int, ...]:
        """The rows whose checkpoint has a step, in the order of steps."""
        return tuple(index for index, checkpoint in enumerate(self.checkpoints) if checkpoint.step is not None)

    @property
    def in_training(self) -> bool:
        """Whether there are two steps or more, so that a heat map says something."""
        return len(self.stepped) > 1

    @property
    def middle(self) -> int:
        """The place in `layers` of the residual layer in the middle; without one, of the middle layer."""
        residual = [index for index, stream in enumerate(self.streams) if stream == "residual"]
        places = residual or range(len(self.layers))
        return places[(len(places) - 1) // 2]


def panels(
    connection: Connection,
    view: str,
    columns: Sequence[str],
    models: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
) -> list[Panel]:
    """The panels of ``lab.<view>``, ordered by model and dataset: of those named, or of all there are.

    Raises BadInput where there are no rows, or none of a model or dataset that was named.
    """
    rows = view_rows(connection, view, (*KEYS, *columns), models, datasets)
    groups: dict[tuple[str, str, str], list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault((row[0], row[1], row[4]), []).append(row)
    return [_panel(key, group, columns) for key, group in sorted(groups.items())]


def view_rows(
    connection: Connection,
    view: str,
    columns: Sequence[str],
    models: Sequence[str] | None,
    datasets: Sequence[str] | None,
    command: str = "isoscope shape",
) -> list[tuple[Any, ...]]:
    """The named columns of ``lab.<view>``, which `command` fills. Raises BadInput where rows that were asked for are not
    there."""
    conditions, parameters = [], []
    for column, names in (("model", models), ("dataset", datasets)):
        if names:
            conditions.append(f"{column} in ({', '.join('?' * len(names))})")
            parameters += list(names)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    sql = f"select {', '.join(columns)} from lab.{view}{where}"
    rows: list[tuple[Any, ...]] = connection.execute(sql, parameters).fetchall()
    for word, asked, others in (("model", models, datasets), ("dataset", datasets, models)):
        _refuse_gaps(view, word, asked, others, (row[columns.index(word)] for row in rows), command)
    return rows


def _refuse_gaps(
    view: str,
    word: str,
    asked: Sequence[str] | None,
    others: Sequence[str] | None,
    present: Iterable[str],
    command: str,
) -> None:
    found = set(present)
    missing = [name for name in asked or () if name not in found]
    other = "dataset" if word == "model" else "model"
    among = f" with {other} {' or '.join(map(repr, others))}" if others else ""
    if missing:
        named = ", ".join(map(repr, missing))
        raise BadInput(f"no rows of lab.{view} for {word} {named}{among}: run `{command}` on it first")
    if not found:
        raise BadInput(f"no rows of lab.{view} for any {word}{among}: run `{command}` first")


def _panel(key: tuple[str, str, str], rows: list[tuple[Any, ...]], columns: Sequence[str]) -> Panel:
    model, kind, dataset = key
    found = {Checkpoint(model, row[2], row[3]) for row in rows}
    checkpoints = sorted(found, key=lambda one: (one.step is None, one.step or 0, one.revision))
    streams = {row[5]: row[6] for row in rows}
    layers = sorted(streams)
    arrays = {column: np.full((len(checkpoints), len(layers)), np.nan) for column in columns}
    for row in rows:
        place = checkpoints.index(Checkpoint(model, row[2], row[3])), layers.index(row[5])
        for column, value in zip(columns, row[len(KEYS) :], strict=True):
            arrays[column][place] = np.nan if value is None else value
    return Panel(
        model, kind, dataset, tuple(checkpoints), tuple(layers), tuple(streams[layer] for layer in layers), arrays
    )


def step_label(step: int) -> str:
    """A step as short as it can be read: 512, 1k, 143k, 1.5M."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if step >= size and step % (size // 10) == 0:
            return f"{step / size:g}{letter}"
    return str(step)


def checkpoint_label(checkpoint: Checkpoint) -> str:
    """The step, or where nobody said, the revision."""
    return (
        f"step {step_label(checkpoint.step)}" if checkpoint.step is not None else f"revision {checkpoint.revision[:8]}"
    )


def thinned(count: int, limit: int) -> list[int]:
    """At most `limit` places out of `count`, evenly spread, the first and the last among them."""
    if count <= limit:
        return list(range(count))
    return sorted({round(place) for place in np.linspace(0, count - 1, limit)})
