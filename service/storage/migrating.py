"""The migrations, run on a connection of the storage's own."""

from __future__ import annotations

import io
from functools import cache

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from service.storage import views


def configuration(connection: Connection | None = None, output: io.StringIO | None = None) -> Config:
    """Alembic's configuration without a file, so that an installed wheel can migrate; env.py uses `connection`."""
    config = Config(stdout=output or io.StringIO())
    config.set_main_option("script_location", str(views.migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Bring the database to this version's tables and views, within the connection's transaction."""
    command.upgrade(configuration(connection), "head")


@cache
def head() -> str:
    """The newest schema that this version knows."""
    return str(ScriptDirectory.from_config(configuration()).get_current_head())


def version(connection: Connection) -> str | None:
    """The schema that the database has, None where none was ever made."""
    there = "select count(*) from duckdb_tables() where schema_name = 'main' and table_name = 'alembic_version'"
    if not connection.execute(text(there)).scalar():
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


def is_current(connection: Connection) -> bool:
    """Whether the database has this version's tables and views."""
    found = version(connection)
    return found is not None and found == head() and views.replayed(connection) == views.digest()
