"""Eight processes write to one store at once, and every one succeeds."""

from __future__ import annotations

import multiprocessing

from sqlalchemy import text
from store_builders import an_entry

from service.storage.consistency import check
from service.storage.database import looking, open_store, publish
from service.storage.rows import record


def write(root, number):
    """One process's work: three runs of its own, published each."""
    store = open_store(root, 60)
    for turn in range(3):
        step = 3 * number + turn
        record(store, an_entry(store, step, minutes=step, written=False))
        publish(store)


def test_eight_processes_write_at_once_and_nothing_is_lost(tmp_path):
    root = tmp_path / "store"  # not made yet: they race for that too
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        pool.starmap(write, [(root, number) for number in range(8)], chunksize=1)
    store = open_store(root, 20)
    tables = ("runs", "layer_metrics", "checkpoints")
    with looking(store) as connection:
        counts = [connection.execute(text(f"select count(*) from {name}")).scalar() for name in tables]
    assert counts == [24, 24 * 14, 24]
    assert check(store) == []
