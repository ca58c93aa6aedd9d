"""The public views: where their files lie, and how schema ``lab`` is dropped and made again from them."""

from __future__ import annotations

import hashlib
import re
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection

ASKED = re.compile(r"\b(?:from|join) lab\.(\w+)")


def migrations_folder() -> Path:
    """Where the installed ``migrations`` package lies."""
    return Path(str(files("migrations")))


def view_files() -> list[Path]:
    """One ``.sql`` file a view, in the order they are replayed: a view that asks another comes after it."""
    found = {path.stem: path for path in sorted((migrations_folder() / "views").glob("*.sql"))}
    asks = {name: ASKED.findall(path.read_text()) for name, path in found.items()}
    return [found[name] for name in TopologicalSorter(asks).static_order()]


def digest() -> str:
    """What the views of this version are, in 16 hex digits."""
    return hashlib.blake2b(b"\0".join(path.read_bytes() for path in view_files()), digest_size=8).hexdigest()


def drop(connection: Connection) -> None:
    """Take schema ``lab`` away, so that tables can change under it."""
    connection.exec_driver_sql("drop schema if exists lab cascade")


def replay(connection: Connection) -> None:
    """Make schema ``lab`` from the files, and note in the database which they were."""
    connection.exec_driver_sql("create schema lab")
    for path in view_files():
        for statement in path.read_text().split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"comment on table main.alembic_version is 'views {digest()}'")


def replayed(connection: Connection) -> str | None:
    """The digest of the views that the database has, None if none were replayed."""
    noted = connection.exec_driver_sql(
        "select comment from duckdb_tables() where schema_name = 'main' and table_name = 'alembic_version'"
    ).scalar()
    return None if noted is None else str(noted).removeprefix("views ")
