"""One writer at a time, readers of a published copy, and one line for everything that can go wrong."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import duckdb
import pytest
from sqlalchemy import text
from store_builders import an_entry

from service.errors import BadInput, StoreBusy, SummaryMissing
from service.storage.answers import ask
from service.storage.database import (
    Store,
    existing_store,
    is_published,
    looking,
    open_store,
    publish,
    reading,
    writing,
)
from service.storage.locking import lock_holder
from service.storage.rows import record

HOLD_DATABASE = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print("holding", flush=True)
sys.stdin.readline() if len(sys.argv) < 3 else __import__("time").sleep(float(sys.argv[2]))
"""
HOLD_LOCK = """
import sys, time
from pathlib import Path
from service.storage.database import Store, writing
with writing(Store(Path(sys.argv[1]))):
    print("holding", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def lines_of(work, **arguments):
    said = []
    work(on_wait=said.append, **arguments)
    return said


def count(store, table="layer_metrics"):
    with looking(store) as connection:
        return connection.execute(text(f"select count(*) from {table}")).scalar()


def test_a_store_makes_itself_on_first_use_and_is_found_again(tmp_path):
    store = open_store(tmp_path / "deep" / "store", 5)
    assert store.database.is_file()
    assert open_store(store.root, 5) == store == existing_store(store.root, 5)
    assert {path.name for path in store.root.iterdir()} == {
        ".drafts",
        "activations",
        "attributions",
        "edits",
        "isoscope.duckdb",
        "isoscope.lock",
        "ledger",
    }


def test_a_transaction_is_rolled_back_unless_its_block_ends_well(store):
    insertion = text("insert into measures values ('m', 1, 'layer', '', null, null, null, '', '', null)")
    with pytest.raises(ZeroDivisionError), writing(store) as connection:
        assert connection.execute(insertion).rowcount / 0
    assert count(store, "measures") == 0


def test_duckdb_lets_go_of_the_file_as_soon_as_a_block_ends(store, children):
    record(store, an_entry(store))
    out, status = children.run("import duckdb, sys; duckdb.connect(sys.argv[1]); print('open')", store.database)
    assert (out, status) == ("open\n", 0)
    assert lock_holder(store.lock) is None


def test_a_writer_waits_for_another_process_says_for_which_and_succeeds(store, children):
    child = children.start(HOLD_LOCK, store.root, 1.5)
    assert child.stdout.readline() == "holding\n"
    assert lock_holder(store.lock) == str(child.pid)
    entry, said = an_entry(store), []
    record(store, entry, said.append)
    assert said == [f"for Isoscope process {child.pid}, which is writing to the store {store.root} (at most 20 s)"]
    assert count(store) == 14


def test_a_writer_waits_for_somebody_who_holds_the_live_file_open_read_only(store, children):
    child = children.start(HOLD_DATABASE, store.database, 1.5)
    assert child.stdout.readline() == "holding\n"
    said = []
    record(store, an_entry(store), said.append)
    assert said == [f"for process {child.pid}, which has {store.database} open (at most 20 s)"]
    assert count(store) == 14


def test_patience_has_an_end_that_names_the_holder(store, children):
    child = children.start(HOLD_DATABASE, store.database, 30)
    assert child.stdout.readline() == "holding\n"
    hasty = replace(store, lock_wait=0.3)
    wording = rf"^waited 0.3 s for process {child.pid}, which has .*isoscope.duckdb open: .* ISOSCOPE_LOCK_WAIT$"
    with pytest.raises(StoreBusy, match=wording):
        record(hasty, an_entry(store))
    assert list((store.ledger / ".drafts").iterdir()) == []
    assert count(store) == 0  # looking is not in the way of another who only looks


def test_a_connection_of_this_very_process_is_waited_for_too(store):
    held = duckdb.connect(os.fspath(store.database), read_only=True)
    with (
        pytest.raises(StoreBusy, match="this process, by a connection of its own"),
        writing(replace(store, lock_wait=0)),
    ):
        pass
    held.close()


def test_threads_of_one_process_take_turns(store):
    entries = [an_entry(store, step, minutes=step) for step in range(6)]
    workers = [threading.Thread(target=record, args=(store, entry)) for entry in entries]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert count(store, "runs") == 6


def test_nothing_is_published_twice(store):
    assert not is_published(store)
    publish(store)
    first = store.published.stat()
    publish(store)
    assert store.published.stat() == first
    assert is_published(store)
    record(store, an_entry(store))
    assert not is_published(store)
    publish(store)
    assert is_published(store)
    assert ask(store, "select count(*) as n from lab.layer_metrics")["n"].to_pylist() == [14]


def test_whoever_holds_the_published_copy_open_hinders_nobody_and_reads_on_undisturbed(store, children):
    publish(store)
    program = (
        "import duckdb, sys\nc = duckdb.connect(sys.argv[1], read_only=True)\nprint('holding', flush=True)\n"
        "import os, time\nwhile not os.path.exists(sys.argv[2]):\n    time.sleep(0.02)\n"
        "print(c.execute('select count(*) from lab.layer_metrics').fetchall())"
    )
    path = os.fspath(store.published)
    held = duckdb.connect(path, read_only=True)
    ended = store.published.with_name("ended")
    child = children.start(program, path, ended)
    assert child.stdout.readline() == "holding\n"
    record(store, an_entry(store))
    publish(store)
    ended.touch()  # only now: whoever waited for the reader above would have waited in vain
    assert child.communicate(timeout=20)[0] == "[(0,)]\n"
    assert held.execute("select count(*) from lab.layer_metrics").fetchall() == [(0,)]
    held.close()
    assert ask(store, "select count(*) as n from lab.layer_metrics")["n"].to_pylist() == [14]


def test_reading_reaches_no_file_and_no_setting(store, tmp_path):
    publish(store)
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nsesame\n")
    with reading(store) as connection:
        for attempt in (
            f"select * from read_csv('{secret}')",
            f"select * from '{secret}'",
            f"copy (select 1) to '{tmp_path / 'out.csv'}'",
            f"attach '{store.database}' as live",
            "set enable_external_access = true",
            "set threads = 1",
            "install httpfs",
            "create table lab.mine (a integer)",
            "delete from main.models",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(attempt)
    assert not (tmp_path / "out.csv").exists()


def test_two_readers_in_one_process_are_both_locked(store):
    publish(store)
    with reading(store) as first, reading(store) as second:
        for connection in (first, second):
            assert connection.execute("select count(*) from lab.models").fetchall() == [(0,)]
            with pytest.raises(duckdb.Error, match="locked"):
                connection.execute("set threads = 1")


def test_no_door_draws_a_progress_bar_among_the_answers(store):
    publish(store)
    asked = "select current_setting('enable_progress_bar')"
    with reading(store) as connection:
        assert connection.execute(asked).fetchall() == [(False,)]
    with writing(store) as connection:
        assert connection.execute(text(asked)).scalar() is False


def test_reading_before_anything_was_published_says_what_to_do(store, tmp_path):
    for empty in (store, Store(tmp_path / "nowhere")):
        with (
            pytest.raises(SummaryMissing, match=r"^nothing has been measured yet in .*: run `isoscope shape`$"),
            reading(empty),
        ):
            pass


def test_a_published_copy_that_this_process_has_open_otherwise_is_named(store):
    publish(store)
    held = duckdb.connect(os.fspath(store.published), read_only=True)
    with pytest.raises(StoreBusy, match=r"this process has .* open with other settings"), reading(store):
        pass
    held.close()


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path):
    with pytest.raises(BadInput, match=r"^there is no store at .*/nowhere: run `isoscope shape`, or name one with"):
        existing_store(tmp_path / "nowhere", 5)
    with pytest.raises(BadInput, match="there is no store"), writing(Store(tmp_path / "nowhere")):
        pass
    assert not (tmp_path / "nowhere").exists()
