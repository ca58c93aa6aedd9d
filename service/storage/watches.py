"""What a watch keeps in the store: that it is the only one on its folder, and what it has told of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from service.errors import StoreBusy
from service.storage import drafts
from service.storage.database import Store
from service.storage.faults import naming_faults
from service.storage.locking import Patience, exclusive, lock_holder
from service.subjects import content_id


@contextmanager
def watching(store: Store, folder: Path) -> Iterator[None]:
    """Be the one who watches `folder` for `store`; the lock lies in the store, for the folder may be read-only.

    Raises StoreBusy naming the process that watches it already.
    """
    lock = store.root / f"watch-{content_id('watch', str(folder))}.lock"
    with ExitStack() as stack:
        try:
            with naming_faults(store.root):
                stack.enter_context(exclusive(lock, Patience(0)))
        except StoreBusy as error:
            said = f"process {lock_holder(lock)} watches {folder} for the store {store.name} already"
            raise StoreBusy(f"{said}: stop that one first") from error
        yield


class Told:
    """Which events of a training were told of, so that a watch that is started again does not repeat them."""

    def __init__(self, store: Store, model: str) -> None:
        self._root = store.root
        self._path = store.root / f"told-{content_id('told', model)}.json"
        self._known: set[tuple[str, int]] = set()
        with suppress(FileNotFoundError, ValueError, TypeError):  # a lost memory repeats, which is better than silence
            self._known = {(str(kind), int(step)) for kind, step in json.loads(self._path.read_bytes())}

    def knows(self, kind: str, step: int) -> bool:
        """Whether the event of that kind at that step was told of."""
        return (kind, step) in self._known

    def remember(self, kind: str, step: int) -> None:
        """Note that it was. Raises StoreNotWritable."""
        self._known.add((kind, step))
        with naming_faults(self._root), drafts.draft(self._root, "told") as draft:
            drafts.write_bytes(draft / self._path.name, json.dumps(sorted(self._known)).encode())
            drafts.move(draft / self._path.name, self._path)
