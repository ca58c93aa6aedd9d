"""One transaction: drop schema lab, run the versions, replay the views.

Run by ``alembic`` on the store that ISOSCOPE_STORE names, or by ``storage.database`` on a connection of its own.
"""

from __future__ import annotations

from alembic import context
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from service.settings import Settings
from service.storage import views
from service.storage.database import Store, altering
from service.storage.schema import metadata


def moves() -> bool:
    """Whether this command changes the database's version; `check` and `current` only look."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def at_head() -> bool:
    """Whether the migrations that just ran led to this version's schema; the views fit no other."""
    heads = ScriptDirectory.from_config(context.config).get_heads()
    return set(context.get_context().get_current_heads()) == set(heads)


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_schemas=False,
        compare_type=True,
        compare_server_default=False,
    )
    with context.begin_transaction():
        moving = moves()
        if moving:
            views.drop(connection)
        context.run_migrations()
        if moving and at_head():
            views.replay(connection)


given = context.config.attributes.get("connection")
if context.is_offline_mode():
    raise SystemExit("the migrations need the database: --sql is not supported")
if given is not None:
    migrate(given)
else:
    settings = Settings()
    with altering(Store(settings.store, settings.lock_wait)) as opened:
        migrate(opened)
