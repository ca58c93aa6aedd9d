"""The changes of weights that edits make: one safetensors file an edit under ``edits``, written whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import SummaryCorrupt, SummaryMissing
from service.storage import drafts, places
from service.storage.store import Store
from service.subjects import Edit


@dataclass(frozen=True)
class StoredDelta:
    """Where a change of weights lies below the store's ``edits`` folder, and the digest of its bytes."""

    path: str
    digest: str


def write_delta(store: Store, edit: Edit, body: bytes) -> StoredDelta:
    """Put an edit's change of weights in its place; what lies there is replaced.

    Raises StoreNotWritable, StoreUnreachable.
    """
    stored = StoredDelta(edit.relative_path, drafts.digest_of(body))
    places.put_whole(store.edits, stored.path, body, store.name)
    return stored


def read_delta(store: Store, stored: StoredDelta) -> bytes:
    """An edit's change of weights as it was written. Raises SummaryMissing, SummaryCorrupt."""
    place = store.edits / stored.path
    try:
        body = place.read_bytes()
    except FileNotFoundError as error:
        raise SummaryMissing(
            f"no change of weights at {place}: restore it from a backup, or delete its run and edit again"
        ) from error
    if drafts.digest_of(body) != stored.digest:
        raise SummaryCorrupt(f"the change of weights at {place} is not the one that was recorded: restore it")
    return body
