"""What DuckDB and the operating system complain of, under Isoscope's names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from sqlalchemy.exc import DBAPIError

from service.errors import IsoscopeError, StoreCorrupt, StoreNotWritable

CORRUPT = re.compile(
    r"not a valid DuckDB database|corrupt|checksum|could not read enough bytes|replaying WAL|deserializ|"
    r"database has been invalidated|INTERNAL Error",
    re.IGNORECASE,
)
UNWRITABLE = re.compile(
    r"no space left|file too large|quota|read-only file system|permission denied|cannot open file|"
    r"could not (write|sync|truncate|create|move)|not a directory|out of disk",
    re.IGNORECASE,
)
HELD = re.compile(r"could not set lock|same database file with a different configuration|already open", re.IGNORECASE)
ORIGINAL = re.compile(r'Original error: "(.*)"', re.DOTALL)
HOLDER = re.compile(r"\(PID (\d+)\)")


def first_line(error: BaseException) -> str:
    """The first line of what a driver first complained of, without its class."""
    said = str(error).strip()
    original = ORIGINAL.search(said)
    lines = (original[1] if original else said).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^[\w ]*Error: ", "", lines[0])


def driver_error(error: BaseException) -> BaseException:
    """What DuckDB itself raised, without SQLAlchemy's wrapping."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def holder(error: BaseException) -> str | None:
    """Who holds the database file, if that is what the error says: 'process 123' or 'this process'."""
    text = str(driver_error(error))
    if not HELD.search(text):
        return None
    found = HOLDER.search(text)
    return f"process {found[1]}" if found else "this process, by a connection of its own"


def unwritable(root: object, reason: str) -> StoreNotWritable:
    """The error of a store on a full or read-only disk."""
    return StoreNotWritable(
        f"the store {root} cannot be written: {reason}; free space there, or name another folder with ISOSCOPE_STORE"
    )


def named(error: BaseException, root: object) -> IsoscopeError | None:
    """Isoscope's error for what was raised while the store was written; None where it has no name for it."""
    cause = driver_error(error)
    if isinstance(cause, OSError):
        place = f" ({cause.filename})" if cause.filename else ""
        return unwritable(root, f"{cause.strerror or cause}{place}")
    if isinstance(cause, duckdb.Error):
        text = str(cause)
        if UNWRITABLE.search(text):
            return unwritable(root, first_line(cause))
        if CORRUPT.search(text):
            return StoreCorrupt(
                f"the database of {root} cannot be read ({first_line(cause)}): `isoscope rebuild` makes it again "
                "from the ledger"
            )
    return None


@contextmanager
def naming_faults(root: object) -> Iterator[None]:
    """Raise StoreNotWritable or StoreCorrupt for what DuckDB or the operating system raise inside the block."""
    try:
        yield
    except (OSError, duckdb.Error, DBAPIError) as error:
        known = named(error, root)
        if known is None:
            raise
        raise known from error
