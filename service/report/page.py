"""The report: one HTML page that needs nothing beside itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from service import __version__
from service.errors import BadInput, StoreNotWritable, UnknownName
from service.report.asking import Answer, Filters, figures, known, table
from service.report.charts import Chart, Kind, Section
from service.report.gallery import Shown, gallery
from service.report.interactive import drawn
from service.report.interactive_cells import cells
from service.report.interactive_map import interactive_map
from service.report.panels import Connection
from service.report.sections import SECTIONS

DRAWN: dict[Kind, Callable[[Chart, str, Answer], tuple[str, str]]] = {
    "lines": drawn,
    "points": drawn,
    "cells": cells,
    "map": interactive_map,
}


@dataclass(frozen=True)
class Drawing:
    """A figure on the page: its JSON, the SQL and the rows behind it, and what was left out, in words."""

    data: Markup
    answer: Answer
    left_out: str


@dataclass
class Part:
    """A section with what was found for it."""

    section: Section
    drawings: list[Drawing] = field(default_factory=list)
    galleries: list[tuple[str, list[Shown]]] = field(default_factory=list)
    tables: list[tuple[str, Answer]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.drawings and not self.galleries and not self.tables

    @property
    def answers(self) -> list[Answer]:
        """The rows behind everything that is shown."""
        of_galleries = [one.answer for _, found in self.galleries for one in found]
        return [*(one.answer for one in self.drawings), *of_galleries, *(answer for _, answer in self.tables)]

    @property
    def anchor(self) -> str:
        return self.section.title.lower().replace(" ", "-")


@dataclass(frozen=True)
class Written:
    """What a report holds, and where it lies."""

    path: Path
    bytes: int
    sections: tuple[str, ...]
    figures: int
    rows: int


def write_report(connection: Connection, place: Path, filters: Filters, store: str, made: datetime) -> Written:
    """Write the page to `place`, whole or not at all; `filters` name models and datasets, of none all are shown.

    Raises UnknownName for one that is not in the store, BadInput where there is nothing to show or `place` is a folder,
    StoreNotWritable.
    """
    if place.is_dir():
        raise BadInput(f"--out needs a file to write; {place} is a folder")
    for column, names in filters.items():
        there = set(known(connection, column)) if names else set()
        for name in names:
            if name not in there:
                raise UnknownName.of(column, name, there)
    with _draft(place) as draft:
        parts = [_part(connection, section, filters) for section in SECTIONS]
        if all(part.is_empty for part in parts):
            raise BadInput("there is nothing to report yet: run `isoscope shape`")
        content = _page(parts, filters, store, made).encode()
        with _refusing(place):
            draft.write_bytes(content)
            draft.replace(place)
    shown = [part for part in parts if not part.is_empty]
    return Written(
        place,
        len(content),
        tuple(part.section.title for part in shown),
        sum(len(part.drawings) for part in shown),
        sum(len(answer.rows) for part in shown for answer in part.answers),
    )


def _part(connection: Connection, section: Section, filters: Filters) -> Part:
    part = Part(section)
    for chart in section.charts:
        found, total = figures(connection, chart, filters)
        for name, answer in found:
            try:
                data, left_out = DRAWN[chart.kind](chart, name, answer)
            except BadInput as error:
                part.notes.append(f"{chart.title}: {name}: {error}.")
            else:
                part.drawings.append(Drawing(Markup(data), answer, left_out))
        if total > len(found):
            part.notes.append(f"{chart.title}: {len(found)} of {total} figures are shown; --model names others.")
    for one in section.galleries:
        found, total = figures(connection, one, filters)
        if found:
            part.galleries.append((one.title, [gallery(name, answer) for name, answer in found]))
        if total > len(found):
            part.notes.append(f"{one.title}: {len(found)} of {total} attributions are shown; --model names others.")
    for listing in section.tables:
        answer = table(connection, listing, filters)
        if answer.rows:
            part.tables.append((listing.title, answer))
    return part


def _page(parts: Sequence[Part], filters: Filters, store: str, made: datetime) -> str:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cell"] = _cell
    template = environment.from_string(files("service.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.render(
        parts=[part for part in parts if not part.is_empty],
        absent=[part.section.title for part in parts if part.is_empty],
        chosen=[f"{column} {name}" for column, names in filters.items() for name in names],
        store=store,
        made=f"{made:%Y-%m-%d %H:%M} UTC",
        version=__version__,
        plotly=Markup(get_plotlyjs()),
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}"
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


@contextmanager
def _draft(place: Path) -> Iterator[Path]:
    """A file beside `place` to be written and moved there; where none can be made nothing is drawn."""
    draft = place.with_name(f".{place.name}.{os.getpid()}.draft")
    with _refusing(place):
        draft.touch()
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _refusing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = error.strerror or error
        raise StoreNotWritable(
            f"the report cannot be written to {place}: {said}; name another file with --out"
        ) from error
