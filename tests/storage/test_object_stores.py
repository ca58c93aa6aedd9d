"""A store in a bucket of a real S3 server: the same rows and summaries, whole or not at all, and one line when it fails."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
import torch
from s3_server import Gate
from sqlalchemy import text
from store_builders import a_checkpoint, a_run, a_site, a_summary, an_entry

from service.errors import BadInput, StoreUnreachable, SummaryCorrupt, SummaryMissing
from service.results import TrainingStep
from service.storage import ledger
from service.storage.activations import are_there, read_summary, stored_sites, write_summary
from service.storage.consistency import check
from service.storage.database import Store, existing_store, looking, open_store, publish, reading
from service.storage.objects import ObjectPath
from service.storage.rebuilding import rebuild
from service.storage.rows import fact_tables, record
from service.storage.status import status
from service.storage.training_rows import TrainingEntry, leave_in_ledger

WRITE_A_LARGE_SUMMARY = """
import sys
from store_builders import a_summary
from service.storage.activations import write_summary
from service.storage.database import Store
write_summary(Store(sys.argv[1]), a_summary(points=40_000, width=64))
"""
OPEN = """
import sys
from service.errors import IsoscopeError
from service.storage.database import open_store
try:
    open_store(sys.argv[1], 5)
except IsoscopeError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def bucket(s3):
    return s3.new_bucket()


@pytest.fixture
def store(s3, bucket):
    """A new store in a bucket of its own, its database in a folder of its own."""
    return open_store(f"s3://{bucket}/team/runs", 20)


@pytest.fixture
def full(store):
    """Two runs of two sites each, published."""
    for step in range(2):
        record(store, an_entry(store, step, minutes=step))
    publish(store)
    return store


def rows(store):
    with looking(store) as connection:
        return connection.execute(text("select * exclude (run_id) from layer_metrics order by all")).all()


def keys_named(s3, bucket, part):
    return [key for key in s3.keys(bucket) if part in key]


def test_summaries_and_ledger_lie_in_the_bucket_and_the_database_in_its_folder(s3, bucket, full, tmp_path):
    keys = s3.keys(bucket)
    assert all(key.startswith(("team/runs/activations/model=tiny/step=", "team/runs/ledger/")) for key in keys)
    assert (len(keys_named(s3, bucket, "/activations/")), len(keys_named(s3, bucket, "/runs.parquet"))) == (4, 2)
    local = {path.name for path in (tmp_path / "database").iterdir()} - {".drafts"}
    assert local == {"isoscope.duckdb", "isoscope.lock", "isoscope.url", "published.duckdb"}
    assert check(full) == []
    with reading(full) as connection:
        assert connection.execute("select count(*) from lab.layer_metrics").fetchone() == (28,)


def test_what_was_written_is_read_back(store):
    summary = a_summary(1)
    stored = write_summary(store, summary)
    found = read_summary(store, summary.site, stored.digest)
    assert torch.equal(found.states, summary.states)
    assert stored_sites(store, a_checkpoint(), summary.site.dataset, summary.site.dataset_digest) == [stored]
    assert are_there(store, [summary.site])
    assert not are_there(store, [summary.site, a_site(2)])
    with pytest.raises(SummaryMissing, match=r"s3://.*layer=2.*is not there"):
        read_summary(store, a_site(2))


def test_a_summary_that_says_the_same_is_kept_and_any_other_replaced(s3, bucket, store):
    stored = write_summary(store, a_summary())
    assert write_summary(store, a_summary()) == stored
    fewer = write_summary(store, a_summary(points=9))
    assert fewer.digest != stored.digest
    assert read_summary(store, fewer.site, fewer.digest).states.shape[0] == 9
    s3.client().put_object(Bucket=bucket, Key=f"team/runs/activations/{stored.path}", Body=b"PAR1 half a file")
    with pytest.raises(SummaryCorrupt):
        read_summary(store, stored.site)
    assert write_summary(store, a_summary()) == stored


def test_the_database_is_made_again_from_the_bucket_alone(full, tmp_path):
    before = rows(full)
    shutil.rmtree(tmp_path / "database")
    with pytest.raises(BadInput, match="isoscope rebuild"):
        existing_store(full.place, 5)
    assert rebuild(full.place, 5) == 2
    assert rows(full) == before
    assert check(full) == []


def test_another_host_finds_every_run(full, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOSCOPE_DATABASE", str(tmp_path / "other"))
    other = open_store(full.place, 5)
    assert other.root != full.root
    assert rows(other) == rows(full)


def test_every_disagreement_is_found(s3, bucket, full):
    client = s3.client()
    first, second, *_ = keys_named(s3, bucket, "/activations/")
    client.delete_object(Bucket=bucket, Key=first)
    client.put_object(Bucket=bucket, Key=second, Body=b"something else")
    orphan = write_summary(full, a_summary(0, a_checkpoint(77))).path
    lost = sorted(ledger.run_ids(full.ledger))[0]
    client.delete_object(Bucket=bucket, Key=f"team/runs/ledger/{lost}/runs.parquet")
    found = {(problem.kind, problem.subject.rpartition("/")[2]) for problem in check(full)}
    assert found == {
        ("missing file", first.rpartition("/")[2]),
        ("digest changed", second.rpartition("/")[2]),
        ("orphaned file", orphan.rpartition("/")[2]),
        ("unreadable ledger", lost),
    }


def test_a_training_leaves_its_rows_from_a_host_without_a_database(full, monkeypatch):
    entry = TrainingEntry(a_run(a_checkpoint(9), 30), "my-run", "monitor", (TrainingStep(1, 2.5, 0.5, None, 1e-3),))
    with monkeypatch.context() as elsewhere:
        elsewhere.delenv("ISOSCOPE_DATABASE")
        leave_in_ledger(full.place, entry)
        leave_in_ledger(full.place, entry)
    publish(open_store(full.place, 5))
    with reading(full) as connection:
        assert connection.execute("select step, loss from lab.training_losses").fetchall() == [(1, 2.5)]
    assert check(full) == []


def test_the_table_of_runs_is_put_last(store, monkeypatch):
    put, really = [], ObjectPath.write_bytes
    monkeypatch.setattr(ObjectPath, "write_bytes", lambda self, body: (put.append(self.name), really(self, body)))
    record(store, an_entry(store, written=False))
    assert (len(put), put[-1], put.count("runs.parquet")) == (7, "runs.parquet", 1)


def test_a_run_appears_with_its_last_table_and_a_part_of_one_goes_after_an_hour(s3, bucket, full, monkeypatch):
    entry = an_entry(full, 5, minutes=9, written=False)
    with ledger.drafted(full.ledger, entry.run.run_id, fact_tables(entry)) as draft:
        ledger.enter(full.ledger, draft)  # its writer dies before the table of runs
    assert rows(open_store(full.place, 5)) == rows(full)
    assert (check(full), len(keys_named(s3, bucket, f"{entry.run.run_id}/layer_metrics"))) == ([], 1)
    monkeypatch.setattr(ledger, "LONGEST_ENTRY", -60.0)
    assert [(one.kind, one.subject) for one in check(full)] == [("half-written draft", f"ledger/{entry.run.run_id}")]
    open_store(full.place, 5)
    assert keys_named(s3, bucket, entry.run.run_id) == []
    assert (check(full), len(rows(full))) == ([], 28)


def test_a_writer_killed_in_the_middle_of_an_upload_leaves_nothing_to_be_seen(s3, bucket, children):
    with Gate(s3.endpoint, 2_000_000) as gate:
        child = children.start(WRITE_A_LARGE_SUMMARY, f"s3://{bucket}/s?endpoint_override={gate.address}&scheme=http")
        assert gate.reached.wait(60), child.communicate()
        child.kill()
        assert child.wait() == -signal.SIGKILL
        gate.opened.set()
    assert s3.keys(bucket) == []


def test_an_upload_that_breaks_off_fails_in_one_line_and_leaves_nothing(s3, bucket):
    large = a_summary(points=40_000, width=64)
    with Gate(s3.endpoint, 2_000_000, cut=True) as gate:
        store = Store(f"s3://{bucket}/s?endpoint_override={gate.address}&scheme=http")
        with pytest.raises(StoreUnreachable, match=f"^the store s3://{bucket}/s cannot be reached: .*credentials$"):
            write_summary(store, large)
    assert s3.keys(bucket) == []
    assert write_summary(Store(f"s3://{bucket}/s"), large).points == 40_000


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("no bucket", "has no bucket nowhere"),
        ("no server", "NETWORK_CONNECTION"),
        ("wrong secret", "ACCESS_DENIED"),
        ("no database", "name one with ISOSCOPE_DATABASE"),
        ("credentials in the URL", "holds credentials"),
        ("another scheme", "a URL such as s3://bucket/prefix; got 'gs://"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line_and_leaves_nothing(
    s3, bucket, children, monkeypatch, tmp_path, harm, said
):
    place = {
        "no bucket": "s3://nowhere/x",
        "credentials in the URL": f"s3://me:secret@{bucket}/x",
        "another scheme": f"gs://{bucket}/x",
    }.get(harm, f"s3://{bucket}/x")
    if harm == "no server":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    if harm == "wrong secret":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    if harm == "no database":
        monkeypatch.delenv("ISOSCOPE_DATABASE")
    out, status_ = children.run(OPEN, place)
    assert status_ == 0, out
    assert said in out
    assert len(out.splitlines()) == 1
    assert "secret@" not in out
    assert not (tmp_path / "database").exists()
    assert s3.keys(bucket) == []


def test_a_folder_with_the_database_of_another_store_is_refused(s3, bucket, full, fresh_store, tmp_path, monkeypatch):
    for place in (f"s3://{bucket}/team/other", full.root):
        for opening in (open_store, existing_store, rebuild):
            with pytest.raises(BadInput, match=rf"{full.root} holds the database of s3://{bucket}/team/runs"):
                opening(place, 5)
    local = shutil.copytree(fresh_store, tmp_path / "local")
    monkeypatch.setenv("ISOSCOPE_DATABASE", str(local))
    with pytest.raises(BadInput, match=r"holds the database of a store of its own"):
        open_store(full.place, 5)


def test_a_url_that_went_through_a_path_is_the_same_store(full, monkeypatch):
    assert Store(Path(full.place), 20) == full
    assert (Store(Path("s3-data")).url, Store("run:1").url) == (None, None)
    with pytest.raises(StoreUnreachable, match=r"Unexpected query parameter.*endpoint"):
        Store("s3://bucket/x?endpoint=y").ledger.is_dir()


def test_status_names_the_url_and_counts_what_lies_there(s3, bucket, full):
    facts = status(full.place)
    listed = s3.client().list_objects_v2(Bucket=bucket)["Contents"]
    assert facts["store"] == f"s3://{bucket}/team/runs"
    assert (facts["runs"], facts["summaries"]) == (2, 4)
    assert facts["summaries_bytes"] + facts["ledger_bytes"] == sum(entry["Size"] for entry in listed)
