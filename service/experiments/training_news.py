"""Who is told what a watch has seen: one listener, set around it, as of progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["measured", "imported", "spike", "warning", "problem", "left out", "watching", "stopped"]


@dataclass(frozen=True)
class News:
    """One thing that a watch has seen: a `line` for people, and the `facts` for machines."""

    kind: Kind
    line: str
    facts: Mapping[str, Any] = field(default_factory=dict)


_listener: ContextVar[Callable[[News], None] | None] = ContextVar("isoscope_news", default=None)


@contextmanager
def hearing(listener: Callable[[News], None]) -> Iterator[None]:
    """Have `listener` told of everything that is seen inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def announce(news: News) -> None:
    """Tell the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(news)
