"""The database, made again from the store's Parquet alone."""

from __future__ import annotations

import os
from pathlib import Path

from service.errors import BadInput
from service.storage.database import OnWait, Store, create, publish, tidy
from service.storage.faults import naming_faults
from service.storage.locking import Patience, exclusive
from service.storage.store import make_folders, refuse_stranger


def rebuild(place: Path | str, lock_wait: float, on_wait: OnWait = None) -> int:
    """Make the database again from the ledger and publish it; how many runs it holds.

    The new one is made in a draft and takes the old one's place whole; the old one stays as ``isoscope.duckdb.old``.
    Raises BadInput where there is no store, StoreBusy, StoreNotWritable, StoreCorrupt.
    """
    store = Store(place, lock_wait)
    refuse_stranger(store)
    if not store.ledger.is_dir():
        raise BadInput(f"{store.name} has no ledger to rebuild from: name a store with ISOSCOPE_STORE or --store")
    patience = Patience(lock_wait, on_wait)
    with naming_faults(store.root):
        make_folders(store)
        with exclusive(store.lock, patience):
            tidy(store)
            _keep_old(store)
            runs = create(store.database, store)
    publish(store, on_wait)
    return runs


def _keep_old(store: Store) -> None:
    """Give the old database a second name, so that it is never gone while the new one is made; its log goes with it."""
    old = store.database.with_name(store.database.name + ".old")
    log = store.database.with_name(store.database.name + ".wal")
    for path in (old, old.with_name(old.name + ".wal")):
        path.unlink(missing_ok=True)
    if store.database.exists():
        os.link(store.database, old)
    if log.exists():
        os.replace(log, old.with_name(old.name + ".wal"))
