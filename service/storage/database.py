"""The only doors to DuckDB: one writer behind a file lock, and readers of a published copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from sqlalchemy import URL, Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from service.errors import BadInput, StoreBusy, StoreNotMigrated, SummaryMissing
from service.storage import drafts, feeding, ledger, migrating
from service.storage.faults import driver_error, first_line, holder, naming_faults, unwritable
from service.storage.locking import Patience, exclusive
from service.storage.store import Store, make_folders, refuse_stranger

OnWait = Callable[[str], None] | None
QUIET = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
CONFINED = {**QUIET, "enable_external_access": "false", "temp_directory": ""}
NO_BAR = "set enable_progress_bar = false"  # DuckDB draws it into the standard output, among the answers


def open_store(place: Path | str, lock_wait: float, on_wait: OnWait = None) -> Store:
    """The store at `place`, made on first use, rid of dead writers' drafts and with every run of its ledger recorded.

    Raises BadInput, StoreNotMigrated, StoreBusy, StoreNotWritable, StoreUnreachable, StoreCorrupt.
    """
    store = Store(place, lock_wait)
    with naming_faults(store.root):
        _make_folders(store)
        patience = Patience(lock_wait, on_wait)
        with exclusive(store.lock, patience):
            tidy(store)
            if not store.database.exists():
                create(store.database, store)
            elif _is_behind(store, patience):
                with connected(store.database, patience) as connection, connection.begin():
                    feeding.catch_up(connection, store.ledger)
    return store


def _make_folders(store: Store) -> None:
    if store.root.exists() and not store.root.is_dir():
        raise unwritable(store.root, "it is a file, and a store is a folder")
    make_folders(store)


def tidy(store: Store) -> None:
    """Remove the drafts of dead writers; those of living ones stay."""
    for area in store.draft_areas:
        drafts.tidy(area)


def _is_behind(store: Store, patience: Patience) -> bool:
    """Whether the ledger has runs that the database lacks. Raises StoreNotMigrated for an old database."""
    with connected(store.database, patience, read_only=True) as connection:
        refuse_old(store, connection)
        recorded = feeding.recorded_runs(connection)
    ledger.tidy(store.ledger, recorded)
    return bool(ledger.lacking(store.ledger, recorded))


def refuse_old(store: Store, connection: Connection) -> None:
    """Raise StoreNotMigrated unless the database has this version's tables and views."""
    if not migrating.is_current(connection):
        raise StoreNotMigrated(f"the store {store.name} is of another version of Isoscope: run `isoscope upgrade`")


def create(place: Path, store: Store) -> int:
    """Make the database from the ledger in a draft and move it to `place`; how many runs it holds. Needs the lock."""
    with drafts.draft(store.root, "database") as draft:
        path, patience = draft / place.name, Patience(store.lock_wait)
        make_tables(path, patience)
        with connected(path, patience) as connection:
            with connection.begin():
                runs = feeding.catch_up(connection, store.ledger)
            checkpoint(connection)
        drafts.sync(path)
        drafts.move(path, place)
    return runs


def make_tables(path: Path, patience: Patience) -> None:
    """A new database file with this version's tables and views, and nothing in them."""
    with connected(path, patience) as connection:
        with connection.begin():
            migrating.upgrade(connection)
        checkpoint(connection)


def existing_store(place: Path | str, lock_wait: float, on_wait: OnWait = None, *, migrated: bool = True) -> Store:
    """The store at `place` as it is: nothing is made, tidied or replayed.

    Raises BadInput where there is none, StoreNotMigrated unless `migrated` is False, StoreBusy, StoreCorrupt.
    """
    store = Store(place, lock_wait)
    _refuse_absent(store)
    if migrated:
        with looking(store, on_wait) as connection:
            refuse_old(store, connection)
    return store


def _refuse_absent(store: Store) -> None:
    refuse_stranger(store)
    if store.database.exists():
        return
    if store.url is None:
        raise BadInput(f"there is no store at {store.root}: run `isoscope shape`, or name one with ISOSCOPE_STORE")
    raise BadInput(
        f"there is no database of {store.name} in {store.root}: `isoscope rebuild` makes it from the ledger there, "
        "`isoscope shape` a new store, and ISOSCOPE_DATABASE names another folder"
    )


def upgrade(store: Store, on_wait: OnWait = None) -> None:
    """Bring an old store to this version's tables and views, losing nothing. Raises StoreBusy, StoreNotWritable."""
    with altering(store, on_wait) as connection:
        migrating.upgrade(connection)
    publish(store, on_wait)


@contextmanager
def writing(store: Store, on_wait: OnWait = None) -> Iterator[Connection]:
    """One transaction on the live database, by one process at a time; rolled back unless the block ends well.

    `on_wait` gets one line saying for what it waits. Raises StoreBusy, StoreNotWritable, StoreCorrupt.
    """
    with _held(store, on_wait) as patience, connected(store.database, patience) as connection, connection.begin():
        yield connection


@contextmanager
def looking(store: Store, on_wait: OnWait = None) -> Iterator[Connection]:
    """The live database under the lock, read-only: for what must not miss the newest row.

    Raises StoreBusy, StoreCorrupt.
    """
    with _held(store, on_wait) as patience, connected(store.database, patience, read_only=True) as connection:
        yield connection


@contextmanager
def altering(store: Store, on_wait: OnWait = None) -> Iterator[Connection]:
    """One transaction that may change tables, with a checkpoint after it; makes the database where there is none."""
    with naming_faults(store.root):
        _make_folders(store)
        patience = Patience(store.lock_wait, on_wait)
        with exclusive(store.lock, patience), connected(store.database, patience) as connection:
            with connection.begin():
                yield connection
            checkpoint(connection)


@contextmanager
def _held(store: Store, on_wait: OnWait) -> Iterator[Patience]:
    _refuse_absent(store)
    patience = Patience(store.lock_wait, on_wait)
    with naming_faults(store.root), exclusive(store.lock, patience):
        yield patience


@contextmanager
def connected(path: Path, patience: Patience, read_only: bool = False) -> Iterator[Connection]:
    """A connection that holds DuckDB's own file lock for the block alone. Needs the store's lock. Raises StoreBusy."""
    engine = create_engine(
        URL.create("duckdb", database=str(path)),
        poolclass=NullPool,
        pool_reset_on_return=None,  # it is closed at once; a rollback after a failed commit would only be loud
        connect_args={"read_only": read_only, "config": dict(QUIET)},
    )
    connection = None
    while connection is None:
        try:
            connection = engine.connect()
        except DBAPIError as error:
            held_by = holder(error)
            if held_by is None:
                raise
            patience.pause(f"{held_by}, which has {path} open")
    with connection:
        connection.exec_driver_sql(NO_BAR)
        connection.rollback()  # ends the transaction that SQLAlchemy began for it
        yield connection


def checkpoint(connection: Connection) -> None:
    """Have everything in the database file itself, so that no log is left to be replayed."""
    connection.exec_driver_sql("checkpoint")
    connection.commit()


def publish(store: Store, on_wait: OnWait = None) -> None:
    """Give readers a copy of the live database; does nothing when theirs is current.

    The copy replaces ``published.duckdb`` whole, so whoever has that open goes on reading the old one undisturbed.
    """
    with _held(store, on_wait) as patience:
        if is_published(store):
            return
        with connected(store.database, patience) as connection:
            checkpoint(connection)
        with drafts.draft(store.root, "published") as draft:
            copy = draft / store.published.name
            shutil.copyfile(store.database, copy)
            shutil.copystat(store.database, copy)
            drafts.sync(copy)
            drafts.move(copy, store.published)


def is_published(store: Store) -> bool:
    """Whether the published copy is of the live database as it is now: the same size and time of writing."""
    if not store.published.exists() or store.database.with_name(store.database.name + ".wal").exists():
        return False
    live, copy = store.database.stat(), store.published.stat()
    return (live.st_size, live.st_mtime_ns) == (copy.st_size, copy.st_mtime_ns)


@contextmanager
def reading(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published copy: read-only, out of reach of any file, with its configuration locked.

    Raises SummaryMissing where nothing was published, StoreBusy where this process has it open with other settings.
    """
    if store.url is not None:
        _refuse_absent(store)
    if not store.published.exists():
        raise SummaryMissing(f"nothing has been measured yet in {store.name}: run `isoscope shape`")
    with naming_faults(store.root):
        connection = _read(store.published)
    with connection:
        locked = connection.execute("select current_setting('lock_configuration')").fetchone()
        if locked == (False,):  # else by another reader in this process, for this one too
            connection.execute(f"{NO_BAR}; set lock_configuration = true")
        yield connection


def _read(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(os.fspath(path), read_only=True, config=dict(CONFINED))
    except duckdb.ConnectionException as error:
        held = f"this process has {path} open with other settings ({first_line(driver_error(error))})"
        raise StoreBusy(f"{held}: close that connection first") from error
