"""The report's questions put to the store: which figures there are, and the exact SQL and rows of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.report.charts import Chart, Gallery, Listing
from service.report.panels import Connection

MOST_FIGURES = 8  # of one kind; further ones by naming a model
MOST_ROWS = 500  # of a table
MOST_POINTS = 40_000  # of a figure
MOST_DISTANCES = 1_000_000  # of a map, which shows the places that they imply
EITHER = {"ensemble": "model", "targets": "dataset", "probed_on": "dataset"}  # columns that a filter is on as well
PAIRED = ("study", "model_a", "model_b")  # columns that are filtered as models are, each of them
UNTOLD = ("_id", "revision")  # how columns end that name nothing a person knows
WORDS = {
    "concept": "for",
    "ensemble": "in",
    "layer": "at layer",
    "attributed_layer": "at layer",
    "method": "by",
    "targets": "about",
    "step": "at step",
    "task": "for",
}


@dataclass(frozen=True, eq=False)
class Answer:
    """The rows of one query as it was run; `total` is how many there are, of which `rows` may be the first."""

    sql: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int

    def column(self, name: str) -> list[Any]:
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


Filters = Mapping[str, Sequence[str]]


def literal(value: object) -> str:
    """A value as SQL writes it."""
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


def answered(connection: Connection, sql: str, most: int) -> Answer:
    """Run `sql`, keeping the first `most` rows."""
    found = connection.execute(sql)
    columns = tuple(column[0] for column in found.description)
    rows = found.fetchall()
    return Answer(sql, columns, tuple(tuple(row) for row in rows[:most]), len(rows))


def conditions(filters: Filters, columns: Sequence[str]) -> list[str]:
    """The filter as SQL conditions, on those of its columns that are there; a study is filtered as a model is, and so are
    both models of a pair. Where a model and its ensemble are there, or two datasets, one of them is enough."""
    named = {**filters, **dict.fromkeys(PAIRED, filters.get("model", ()))}
    found: dict[str, list[str]] = {}
    for column in columns:
        about = EITHER.get(column, column)
        if named.get(about):
            found.setdefault(about, []).append(f"{column} in ({', '.join(map(literal, named[about]))})")
    return [f"({' or '.join(either)})" if len(either) > 1 else either[0] for either in found.values()]


def with_where(query: str, found: Sequence[str]) -> str:
    """The query with its conditions in place; without any, a condition that always holds where more follow."""
    follows = "\n  and " in query.partition("{where}")[2]
    clause = "where " + " and ".join(found) if found else "where true" if follows else ""
    return query.replace("{where}\n", f"{clause}\n" if clause else "")


def figures(connection: Connection, chart: Chart | Gallery, filters: Filters) -> tuple[list[tuple[str, Answer]], int]:
    """(name, answer) of each figure of a chart, or group of a gallery, at most MOST_FIGURES, and how many there are."""
    columns = _columns(connection, chart.subjects)
    narrowed = [column for column in ("model", "dataset", *PAIRED, *EITHER) if column in columns]
    common = conditions(filters, narrowed)
    if not chart.one_per:
        answer = answered(connection, with_where(chart.query, common), MOST_POINTS)
        return ([("", answer)], 1) if answer.rows else ([], 0)
    where = f"where {' and '.join(common)} " if common else ""
    listed = ", ".join(chart.one_per)
    subjects = connection.execute(
        f"select distinct {listed} from {chart.subjects} {where}order by {chart.order}"
    ).fetchall()
    found: list[tuple[str, str, Answer]] = []
    for subject in subjects[:MOST_FIGURES]:
        own = [_equal(column, value) for column, value in zip(chart.one_per, subject, strict=True)]
        rest = [one for one in common if one.split(" in ")[0] not in chart.one_per]
        most = MOST_DISTANCES if isinstance(chart, Chart) and chart.kind == "map" else MOST_POINTS
        answer = answered(connection, with_where(chart.query, [*own, *rest]), most)
        if any(value is not None for value in answer.column(chart.needed)):
            found.append((_named(chart.one_per, subject), str(subject[-1]), answer))
    return _told_apart(found), len(subjects)


def _told_apart(found: Sequence[tuple[str, str, Answer]]) -> list[tuple[str, Answer]]:
    """Each answer with its name, and with its identity where others have that name."""
    names = [name for name, _, _ in found]
    return [(name if names.count(name) == 1 else f"{name} ({own})", answer) for name, own, answer in found]


def _equal(column: str, value: object) -> str:
    return f"{column} is null" if value is None else f"{column} = {literal(value)}"


def _named(columns: Sequence[str], subject: Sequence[object]) -> str:
    """`a on dataset`, of two models `a and b on dataset`, of a concept `loop in a at layer 1 by trak on dataset`; what is not
    known is left out, and so are identities and revisions."""
    words = {**WORDS, "model_b": "and"} if columns[:2] == ("model_a", "model_b") else WORDS
    known = [(column, value) for column, value in zip(columns, subject, strict=True) if value is not None]
    told = [(words.get(column, "on"), str(value)) for column, value in known if not column.endswith(UNTOLD)]
    return " ".join(value if place == 0 else f"{word} {value}" for place, (word, value) in enumerate(told))


def table(connection: Connection, listing: Listing, filters: Filters) -> Answer:
    """The rows of a table."""
    return answered(connection, with_where(listing.query, conditions(filters, listing.filters)), MOST_ROWS)


def _columns(connection: Connection, view: str) -> set[str]:
    return {column[0] for column in connection.execute(f"select * from {view} limit 0").description}


def known(connection: Connection, column: str) -> Iterator[str]:
    """The names that a filter on `model` or `dataset` may have, in any view that has such a column."""
    columns = [column, *(other for other, about in EITHER.items() if about == column)]
    views = connection.execute(
        "select table_name, column_name from information_schema.columns where table_schema = 'lab' "
        f"and column_name in ({', '.join(map(literal, columns))})"
    ).fetchall()
    parts = " union ".join(f"select {named} from lab.{view}" for view, named in views)
    yield from (row[0] for row in connection.execute(parts).fetchall() if row[0] is not None)
