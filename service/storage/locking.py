"""One process at a time, and how long the others wait.

The lock is ``flock`` on a file beside the database: the kernel lets it go when its holder dies, so none is ever stale.
The holder's process number inside it is for people alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import StoreBusy

UNREMARKED = 0.5  # seconds of waiting that nobody needs to hear of


class Patience:
    """How long one caller waits in all, and whom it tells for what."""

    def __init__(self, seconds: float, on_wait: Callable[[str], None] | None = None) -> None:
        self.seconds = seconds
        self.on_wait = on_wait
        self.started = time.monotonic()
        self.said: set[str] = set()

    def pause(self, waiting_for: str) -> None:
        """Wait a moment more, saying once for what. Raises StoreBusy when the patience is at its end."""
        waited = time.monotonic() - self.started
        if waited >= self.seconds:
            raise StoreBusy(
                f"waited {self.seconds:g} s for {waiting_for}: let it finish or close it there, or wait longer with "
                "ISOSCOPE_LOCK_WAIT"
            )
        if self.on_wait and waiting_for not in self.said and waited >= min(UNREMARKED, self.seconds / 2):
            self.said.add(waiting_for)
            self.on_wait(f"for {waiting_for} (at most {self.seconds:g} s)")
        time.sleep(min(0.02 if waited < 1 else 0.1, self.seconds - waited))


def lock_holder(path: Path) -> str | None:
    """The process that holds the lock now, None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
    else:
        return None
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path, patience: Patience, doing: str = "writing to the store") -> Iterator[None]:
    """Hold the lock file for the block, waiting for its holder, which is `doing` something there. Raises StoreBusy."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                patience.pause(f"Isoscope process {pid}, which is {doing} {path.parent}")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
