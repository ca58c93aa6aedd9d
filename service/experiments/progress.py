"""Who is told how far a long run has come: one listener, set around a flow, told by whatever runs inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units (`tokens`, `sites` or `checkpoints`) of a stage of a subject; `total` None if unknown."""

    stage: str
    subject: str
    done: int
    total: int | None
    unit: str = "tokens"


_listener: ContextVar[Callable[[Progress], None] | None] = ContextVar("isoscope_progress", default=None)


@contextmanager
def listening(listener: Callable[[Progress], None]) -> Iterator[None]:
    """Have `listener` told of every step made inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def also_listening(listener: Callable[[Progress], None]) -> Iterator[None]:
    """Have `listener` told of every step made inside the block, after whoever is told already."""
    before = _listener.get()

    def both(step: Progress) -> None:
        if before is not None:
            before(step)
        listener(step)

    with listening(both):
        yield


def tell_waiting(waiting_for: str) -> None:
    """Tell the listener what the run is waiting for."""
    tell(Progress("waiting", waiting_for, 0, None))


def tell(progress: Progress) -> None:
    """Tell the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(progress)
