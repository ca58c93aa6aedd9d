"""A writer killed at any moment leaves a store that opens, heals and can be finished."""

from __future__ import annotations

import random
import signal
import time

import pytest
from sqlalchemy import text
from store_builders import a_site, an_entry

from service.storage import coverage, ledger
from service.storage.activations import read_summary
from service.storage.consistency import check
from service.storage.database import looking, open_store, publish, writing
from service.storage.rebuilding import rebuild
from service.storage.rows import record

BEGIN = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import text
from store_builders import an_entry
from service.storage import drafts, feeding, ledger, rows
from service.storage.database import open_store, writing, publish
from service.storage.rows import record
store = open_store(Path(sys.argv[1]), 20)
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
"""
IN_A_TRANSACTION = """
with writing(store) as connection:
    connection.execute(text("insert into layer_metrics select 's', 'm', 1, 'v', 'r', i, i, 1, 0, null "
                            "from range(300000) t(i)"))
    die()
"""
IN_A_SUMMARY = """
with drafts.draft(store.activations, "site") as folder:
    (folder / "site.parquet").write_bytes(b"PAR1 half")
    die()
"""
IN_THE_LEDGER = """
tables = {"models": ledger.arrow_table("models", [])}
with ledger.drafted(store.ledger, "run", tables):
    die()
"""
BETWEEN_LEDGER_AND_DATABASE = """
entry = an_entry(store, minutes=1, value=0.9, written=False)
tables = {**rows.fact_tables(entry), "runs": rows.run_table(entry, {})}
with ledger.drafted(store.ledger, entry.run.run_id, tables) as draft, writing(store) as connection:
    feeding.insert(connection, tables)
    ledger.enter(store.ledger, draft)
    die()
"""
AFTER_THE_SUMMARIES = """
an_entry(store, step=1)
die()
"""
WITH_THE_LOCK = """
with writing(store):
    die()
"""
BUSY = """
for step in range(int(sys.argv[2]), 400):
    record(store, an_entry(store, step, minutes=step))
    publish(store)
    print(step, flush=True)
"""


def runs(store):
    with looking(store) as connection:
        return connection.execute(text("select count(*) from runs")).scalar()


def rows(store):
    with looking(store) as connection:
        return connection.execute(text("select count(*) from layer_metrics")).scalar()


@pytest.mark.parametrize(
    ("moment", "recorded"),
    [
        (IN_A_TRANSACTION, 1),
        (IN_A_SUMMARY, 1),
        (IN_THE_LEDGER, 1),
        (BETWEEN_LEDGER_AND_DATABASE, 2),
        (WITH_THE_LOCK, 1),
    ],
    ids=["in a transaction", "in a summary", "in the ledger", "between ledger and database", "with the lock"],
)
def test_a_store_heals_itself_when_it_is_next_opened(store, children, moment, recorded):
    record(store, an_entry(store))
    publish(store)
    out, status = children.run(BEGIN + moment, store.root)
    assert status == -signal.SIGKILL, out
    healed = open_store(store.root, 0)  # the dead writer's lock is not waited for
    assert (runs(healed), rows(healed)) == (recorded, 14 * recorded)
    publish(healed)
    assert check(healed) == []


def test_summaries_that_a_killed_run_left_are_whole_and_the_next_run_records_them(store, children):
    out, status = children.run(BEGIN + AFTER_THE_SUMMARIES, store.root)
    assert status == -signal.SIGKILL, out
    healed = open_store(store.root, 20)
    assert [problem.kind for problem in check(healed)] == ["orphaned file", "orphaned file", "published is old"]
    record(healed, an_entry(healed, step=1))
    publish(healed)
    assert check(healed) == []


def test_a_run_that_waits_in_the_ledger_is_recorded_before_another_is(store, children):
    children.run(BEGIN + BETWEEN_LEDGER_AND_DATABASE, store.root)
    record(store, an_entry(store, minutes=1, value=0.9, written=False))
    assert (runs(store), rows(store)) == (1, 14)


def test_killing_a_busy_writer_at_any_moment_loses_nothing_that_it_had_recorded(store, children):
    draw, done = random.Random(3), -1
    for _ in range(3):
        child = children.start(BEGIN + BUSY, store.root, done + 1)
        first = child.stdout.readline()
        time.sleep(draw.uniform(0, 0.5))
        child.kill()
        done = int((first + child.communicate()[0]).split()[-1])
        open_store(store.root, 20)
        assert done + 1 <= runs(store) <= done + 2
        with writing(store) as connection:
            assert connection.execute(text("select count(*) from layer_metrics")).scalar() == 14 * len(
                ledger.run_ids(store.ledger)
            )
    step = done + 1
    record(store, an_entry(store, step, minutes=step))
    publish(store)
    assert [problem for problem in check(store) if problem.kind != "orphaned file"] == []
    site = coverage.recorded_sites(store, a_site().checkpoint.checkpoint_id, "python-reference")[1]
    read_summary(store, site)
    assert rebuild(store.root, 20) == runs(store)
