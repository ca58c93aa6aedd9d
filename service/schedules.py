"""Which flow runs when, with which parameters: the tables ``[[schedule]]`` of ``isoscope.toml``."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from service.errors import BadInput, UnknownName

DEFAULT_FILE = Path("isoscope.toml")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
TEXTS = ("name", "flow", "cron", "interval", "timezone")
KNOWN_KEYS = (*TEXTS, "parameters")


@dataclass(frozen=True)
class Schedule:
    """A flow's runs at the times of `cron` in `timezone`, or every `interval` counted from a midnight there."""

    name: str
    flow: str
    cron: str | None = None
    interval: timedelta | None = None
    timezone: str = "UTC"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def when(self) -> str:
        """``cron 0 3 * * * (Europe/London)`` or ``every 6:00:00``."""
        return f"every {self.interval}" if self.interval else f"cron {self.cron} ({self.timezone})"


def read_schedules(path: Path | None = None) -> tuple[Schedule, ...]:
    """The schedules of a file; of ``isoscope.toml`` in the current folder, if there is one, where none is named.

    Raises BadInput, with the file and the schedule it is about.
    """
    place = path or DEFAULT_FILE
    if path is None and not place.exists():
        return ()
    known = _tables(place)
    schedules = tuple(_schedule(f"{place}, schedule {number}", table) for number, table in enumerate(known, start=1))
    _refuse_doubles(place, [schedule.name for schedule in schedules])
    return schedules


def _tables(path: Path) -> list[Mapping[str, Any]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no TOML: {error}") from error
    _refuse_unknown(f"{path}: unknown table", document, ("schedule",))
    tables = document.get("schedule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadInput(f"{path}: schedules are written as tables [[schedule]], with two brackets")
    return tables


def _schedule(place: str, table: Mapping[str, Any]) -> Schedule:
    """One table as a schedule; `place` says in errors where it stands."""
    if isinstance(table.get("name"), str):
        place = f"{place} {table['name']!r}"
    _refuse_unknown(f"{place}: unknown key", table, KNOWN_KEYS)
    for key in TEXTS:
        if key in table and not (isinstance(table[key], str) and table[key].strip()):
            raise BadInput(f"{place}: {key} needs a text; got {table[key]!r}")
    for key in ("name", "flow"):
        if key not in table:
            raise BadInput(f"{place}: it needs a {key}")
    if ("cron" in table) == ("interval" in table):
        given = "both" if "cron" in table else "neither"
        raise BadInput(f'{place}: it needs either cron = "0 3 * * *" or interval = "6h"; got {given}')
    parameters = table.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadInput(f"{place}: parameters are a table [schedule.parameters]; got {parameters!r}")
    return Schedule(
        name=table["name"],
        flow=table["flow"],
        cron=table.get("cron"),
        interval=_interval(place, table["interval"]) if "interval" in table else None,
        timezone=_timezone(place, table.get("timezone", "UTC")),
        parameters=parameters,
    )


def _interval(place: str, text: str) -> timedelta:
    """``6h`` as six hours."""
    match = re.fullmatch(r"([0-9]{1,6})\s*([smhd])", text.strip())
    if match is None or int(match[1]) == 0:
        raise BadInput(f"{place}: interval needs a number above 0 and one of s, m, h, d, such as 6h; got {text!r}")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _timezone(place: str, text: str) -> str:
    known = available_timezones() | {"UTC"}  # a machine without a time zone database still has this one
    if text not in known:
        near = difflib.get_close_matches(text, sorted(known), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "such as 'Europe/London'"
        raise UnknownName(f"{place}: unknown timezone {text!r}: {hint}")
    return text


def _refuse_unknown(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in given:
        if key not in known:
            raise UnknownName.of(what, key, known)


def _refuse_doubles(path: Path, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise BadInput(
                f"{path}: two schedules are named {name!r}; a schedule's name stands for it in the Prefect UI"
            )
