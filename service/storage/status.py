"""What a store holds, how large it is, when it was last written, and who holds it now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.storage import places
from service.storage.database import Store, is_published, reading
from service.storage.locking import lock_holder

COUNTS = """
select (select count(*) from main.models) as models,
       (select count(*) from main.checkpoints) as checkpoints,
       (select count(*) from main.runs) as runs,
       (select count(*) from main.activations) as summaries,
       (select count(*) from main.layer_metrics) as layer_metrics
"""


def status(place: Path | str) -> dict[str, Any]:
    """Facts by name; sizes in bytes, counts as last published, None where nothing is known. Waits for nobody."""
    store = Store(place)
    name = store.name if store.url else str(store.root.absolute())
    facts: dict[str, Any] = {"store": name, "exists": store.database.exists()}
    if not store.database.exists():
        return facts
    if store.published.exists():
        facts |= _counts(store)
    return facts | {
        "last_written": datetime.fromtimestamp(store.database.stat().st_mtime, UTC).replace(tzinfo=None, microsecond=0),
        "published_is_current": is_published(store),
        "held_by_process": lock_holder(store.lock),
        "database_bytes": store.database.stat().st_size,
        "summaries_bytes": sum(places.sizes(store.activations).values()),
        "ledger_bytes": sum(places.sizes(store.ledger).values()),
    }


def _counts(store: Store) -> dict[str, int]:
    with reading(store) as connection:
        answer = connection.execute(COUNTS)
        names = [column[0] for column in answer.description or ()]
        return dict(zip(names, answer.fetchone() or (), strict=True))
