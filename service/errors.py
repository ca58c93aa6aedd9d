"""What can go wrong, and its name.

A user sees one line and exit status 1; ``--debug`` shows the traceback.

    IsoscopeError
    ├── BadInput            an argument or a file that cannot be worked with
    │   ├── UnknownName     a model, dataset, measure or layer nobody has heard of; names the nearest known one
    │   └── BadShape        a tensor of the wrong shape, too few points, or none that differ
    ├── NetworkMismatch     a folder or a network that is not what was said of it
    ├── SummaryMissing      an activation summary that should be in the store and is not
    ├── SummaryCorrupt      an activation summary that cannot be read, or is not the one that was recorded
    ├── StoreBusy           another process holds the database longer than the lock wait
    ├── StoreNotMigrated    the database was made by another version of Isoscope
    ├── StoreNotWritable    the store's disk is full or read-only
    ├── StoreUnreachable    the object store does not answer, or refuses what it is asked
    └── StoreCorrupt        the database file, or an entry of the ledger, cannot be read
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMED = 30


class IsoscopeError(Exception):
    """Any failure that Isoscope can name: what was needed, what was given, what to do."""


class BadInput(IsoscopeError):
    """An argument, text or file that cannot be worked with."""


class UnknownName(BadInput):
    """A name that is not known; the message offers the nearest one that is."""

    @classmethod
    def of(cls, kind: str, given: str, known: Iterable[str]) -> UnknownName:
        """The error for `given`, which is no known `kind`, naming the nearest of `known` and then all of them."""
        names = sorted(known)
        near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        listing = f"known: {', '.join(names[:MOST_NAMED])}{more}" if names else "none is known yet"
        return cls(f"unknown {kind} {given!r}: {hint}{listing}")


class BadShape(BadInput):
    """A tensor of the wrong shape, or a cloud of too few distinct points."""


class NetworkMismatch(IsoscopeError):
    """A folder that is no checkpoint, damaged weights, or a network whose layers are not where they should be."""


class SummaryMissing(IsoscopeError):
    """An activation summary that was asked for and is not in the store."""


class SummaryCorrupt(IsoscopeError):
    """An activation summary that cannot be read, or whose digest is not the recorded one."""


class StoreBusy(IsoscopeError):
    """Somebody else holds the database, for longer than the lock wait."""


class StoreNotMigrated(IsoscopeError):
    """The database was made by another version of Isoscope."""


class StoreNotWritable(IsoscopeError):
    """The store cannot be written: disk full, read-only, or no permission."""


class StoreUnreachable(IsoscopeError):
    """The object store does not answer, has no such bucket, or refuses the credentials."""


class StoreCorrupt(IsoscopeError):
    """The database file or an entry of the ledger cannot be read; the database can be rebuilt from the ledger."""
