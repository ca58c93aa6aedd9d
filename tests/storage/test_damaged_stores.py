"""An old, damaged, unwritable or crowded store is one line, and loses nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from store_builders import an_entry

from service.errors import StoreCorrupt, StoreNotMigrated, StoreNotWritable
from service.storage.answers import ask
from service.storage.database import existing_store, looking, open_store, upgrade, writing
from service.storage.rows import record

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from service.errors import StoreNotWritable
from service.storage.database import open_store, publish, writing
from sqlalchemy import text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(Path(sys.argv[1]), 5)
size = store.database.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    if sys.argv[3] == "database":
        with writing(store) as connection:
            connection.execute(text(
                "insert into layer_metrics select md5(i::varchar), md5((i+1)::varchar), 1, md5((i+2)::varchar), "
                "md5((i+3)::varchar), random(), random(), 1, 0, null from range(600000) t(i)"))
    elif sys.argv[3] == "publish":
        with writing(store) as connection:
            connection.execute(text("insert into measures values ('m', 1, 'layer', '', null, null, null, '', '', null)"))
        publish(store)
    else:
        from store_builders import a_summary
        from service.storage.activations import write_summary
        write_summary(store, a_summary())
except StoreNotWritable as error:
    print(error)
"""


def count(store, table="layer_metrics"):
    with looking(store) as connection:
        return connection.execute(text(f"select count(*) from {table}")).scalar()


def test_an_old_store_is_refused_in_one_line_and_upgraded_without_loss(store):
    record(store, an_entry(store))
    with writing(store) as connection:
        newest = connection.execute(text("select version_num from alembic_version")).scalar()
        connection.execute(text("update alembic_version set version_num = '0000'"))
    for opening in (open_store, existing_store):
        with pytest.raises(StoreNotMigrated, match=r"is of another version of Isoscope: run `isoscope upgrade`$"):
            opening(store.root, 5)
    with writing(store) as connection:
        connection.execute(text("update alembic_version set version_num = :newest"), {"newest": newest})
        connection.execute(text("comment on table main.alembic_version is 'views of long ago'"))
        connection.execute(text("drop view lab.models"))
    with pytest.raises(StoreNotMigrated):
        open_store(store.root, 5)
    upgrade(existing_store(store.root, 5, migrated=False))
    open_store(store.root, 5)
    assert ask(store, "select model from lab.models")["model"].to_pylist() == ["tiny"]


@pytest.mark.parametrize("harm", ["text", "empty", "truncated", "altered"])
def test_a_damaged_database_is_one_line_that_names_the_remedy(store, harm):
    record(store, an_entry(store))
    body = bytearray(store.database.read_bytes())
    body[4096 * 4 :] = bytes(len(body) - 4096 * 4) if harm == "altered" else body[4096 * 4 :]
    store.database.write_bytes({"text": b"hello " * 999, "empty": b"", "truncated": body[:9000], "altered": body}[harm])
    with pytest.raises(
        StoreCorrupt, match=r"^the database of .* cannot be read \(.*\): `isoscope rebuild` makes it"
    ) as caught:
        open_store(store.root, 5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["under a file", "a file", "a place of the kernel's"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, place):
    (tmp_path / "file").write_text("")
    root = {"under a file": tmp_path / "file" / "store", "a file": tmp_path / "file"}.get(
        place, tmp_path.__class__("/proc/isoscope")
    )
    with pytest.raises(StoreNotWritable, match=r"^the store .* cannot be written: .*ISOSCOPE_STORE$") as caught:
        open_store(root, 5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("what", "room"), [("database", 700_000), ("publish", 300_000), ("summary", 3_000)])
def test_a_full_disk_is_one_line_and_what_was_recorded_stays(store, children, what, room):
    record(store, an_entry(store, step=5))
    out, status = children.run(FULL_DISK, store.root, room, what)
    assert status == 0, out
    assert out.startswith(f"the store {store.root} cannot be written: "), out
    assert out.count("\n") == 1
    reopened = open_store(store.root, 5)
    assert count(reopened) == 14
    assert list((store.activations / ".drafts").iterdir()) == list((store.root / ".drafts").iterdir()) == []
