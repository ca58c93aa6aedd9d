"""Each way in which rows and files can disagree is found, and a rebuilt database has the same rows."""

from __future__ import annotations

import os
import shutil

import duckdb
import pytest
from sqlalchemy import text
from store_builders import a_checkpoint, a_summary, an_entry

from service.errors import BadInput, StoreCorrupt
from service.storage.activations import write_summary
from service.storage.consistency import check
from service.storage.database import looking, open_store, publish, writing
from service.storage.rebuilding import rebuild
from service.storage.rows import record
from service.storage.schema import metadata
from service.storage.status import status


@pytest.fixture
def full(store):
    """A store of three runs, published."""
    record(store, an_entry(store, 0))
    record(store, an_entry(store, 1, minutes=1, layers=3))
    record(store, an_entry(store, minutes=2, value=0.9, checkpoint=a_checkpoint(None, revision="x")))
    publish(store)
    return store


def kinds(store):
    return [(problem.kind, problem.subject) for problem in check(store)]


def everything(store):
    """Every row of every table."""
    with looking(store) as connection:
        return {
            name: sorted(map(repr, connection.execute(text(f'select * from "{name}"')).all()))
            for name in metadata.tables
        }


def a_file(store):
    return next(iter(sorted(store.activations.rglob("*.parquet"))))


def test_a_whole_store_has_no_problems(full):
    assert check(full) == []


def test_a_missing_an_orphaned_and_an_altered_file_are_each_found(full):
    first, second, *_ = sorted(full.activations.rglob("*.parquet"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1] + b"x")
    orphan = full.activations / write_summary(full, a_summary(0, a_checkpoint(77))).path
    named = [path.relative_to(full.activations).as_posix() for path in (first, second, orphan)]
    assert kinds(full) == [("missing file", named[0]), ("digest changed", named[1]), ("orphaned file", named[2])]


def test_a_half_written_draft_is_found_only_when_its_writer_is_dead(full, children):
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom service.storage import drafts\n"
        "with drafts.draft(Path(sys.argv[1]), 'site') as folder:\n"
        "    (folder / 'half.parquet').write_bytes(b'PAR1')\n    print(folder.name, flush=True)\n    time.sleep(60)"
    )
    child = children.start(program, full.activations)
    name = child.stdout.readline().strip()
    assert check(full) == []
    open_store(full.root, 5)
    assert (full.activations / ".drafts" / name / "half.parquet").exists()
    child.kill()
    child.wait()
    assert kinds(full) == [("half-written draft", f"activations/.drafts/{name}")]
    open_store(full.root, 5)
    assert check(full) == []
    assert not (full.activations / ".drafts" / name).exists()


def test_a_run_that_only_the_ledger_or_only_the_database_knows_is_found(full):
    with writing(full) as connection:
        run_id = connection.execute(text("select min(run_id) from runs")).scalar()
        connection.execute(text("delete from runs where run_id = :run_id"), {"run_id": run_id})
    publish(full)
    assert kinds(full) == [("not in the database", run_id)]
    other = next(folder for folder in full.ledger.iterdir() if folder.name not in (run_id, ".drafts"))
    shutil.rmtree(other)
    assert set(kinds(full)) == {("not in the database", run_id), ("not in the ledger", other.name)}


def test_an_unreadable_ledger_is_found(full):
    folder = next(folder for folder in sorted(full.ledger.iterdir()) if folder.name != ".drafts")
    path = folder / "layer_metrics.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    (problem,) = check(full)
    assert (problem.kind, problem.subject) == ("unreadable ledger", folder.name)
    assert f"the ledger's {path} cannot be read (" in problem.what
    with pytest.raises(StoreCorrupt, match=r"restore it, or move its folder away$"):
        rebuild(full.root, 5)
    assert duckdb.connect(os.fspath(full.database)).execute("select count(*) from runs").fetchall() == [(3,)]


def test_an_older_published_copy_is_found(full):
    with writing(full) as connection:
        connection.execute(text("update runs set device = 'cuda'"))
    assert kinds(full) == [("published is old", "published.duckdb")]


@pytest.mark.parametrize("state", ["as it was", "gone", "damaged"])
def test_a_rebuilt_database_has_the_same_rows(full, state):
    before = everything(full)
    counts = {name: len(rows) for name, rows in before.items() if rows and name != "layer_metrics"}
    subjects = {"models": 1, "checkpoints": 3, "datasets": 1, "measures": 2}
    assert counts == {**subjects, "runs": 3, "activations": 7, "checkpoint_losses": 3}
    assert len(before["layer_metrics"]) == 49
    if state == "gone":
        full.database.unlink()
        full.published.unlink()
    elif state == "damaged":
        full.database.write_bytes(b"nonsense")
    assert rebuild(full.root, 5) == 3
    assert everything(full) == before
    assert check(full) == []
    assert full.database.with_name("isoscope.duckdb.old").exists() == (state != "gone")


def test_a_store_whose_database_was_deleted_comes_back_from_its_ledger(full):
    before = everything(full)
    full.database.unlink()
    open_store(full.root, 5)
    assert everything(full) == before


def test_rebuilding_nothing_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"has no ledger to rebuild from: name a store with"):
        rebuild(tmp_path / "nowhere", 5)
    assert not (tmp_path / "nowhere").exists()


def test_the_status_counts_what_is_there(full, tmp_path):
    facts = status(full.root)
    counts = {"models": 1, "checkpoints": 3, "runs": 3, "summaries": 7, "layer_metrics": 49}
    assert counts.items() <= facts.items()
    assert (facts["exists"], facts["published_is_current"], facts["held_by_process"]) == (True, True, None)
    assert facts["summaries_bytes"] == sum(path.stat().st_size for path in full.activations.rglob("*.parquet"))
    with writing(full):
        assert status(full.root)["held_by_process"] == str(os.getpid())
    assert status(tmp_path / "nowhere")["exists"] is False
