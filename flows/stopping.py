"""A first SIGTERM or Ctrl-C asks a long run to come to its end; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_asked: ContextVar[threading.Event | None] = ContextVar("isoscope_stopping", default=None)


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """An event that the first signal inside the block sets.

    Blocks may stand within one another and share the event: Prefect's engine puts a handler of its own before a flow's
    body, which is there taken back. Raises ValueError outside the main thread.
    """
    stopping = _asked.get() or threading.Event()
    token = _asked.set(stopping)
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            signal.raise_signal(number)
        stopping.set()

    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.reset(token)


@contextmanager
def stoppable_if_asked() -> Iterator[threading.Event]:
    """The event of the block around this one; where there is none one that nobody sets: a deployment's run is ended by
    Prefect, at once, as every other run is."""
    if _asked.get() is None:
        yield threading.Event()
        return
    with stoppable() as stopping:
        yield stopping
