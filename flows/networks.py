"""The next network is loaded while the present one computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from service.networks.checkpoints import CheckpointSource, Network

Load = Callable[[CheckpointSource], Network]


class Prefetcher:
    """Networks in a known order, at most one loaded ahead. A retry, which asks again for what was taken, loads anew."""

    def __init__(self, sources: Sequence[CheckpointSource], load: Load, pool: ThreadPoolExecutor) -> None:
        self._order = list(sources)
        self._load = load
        self._pool = pool
        self._ahead: tuple[CheckpointSource, Future[Network]] | None = None

    def take(self, source: CheckpointSource) -> Network:
        """The network of `source`; starts loading the one after it."""
        ahead, self._ahead = self._ahead, None
        network = ahead[1].result() if ahead and ahead[0] == source else self._load(source)
        place = self._order.index(source)
        if place + 1 < len(self._order):
            following = self._order[place + 1]
            self._ahead = (following, self._pool.submit(self._load, following))
        return network


@contextmanager
def prefetching(sources: Sequence[CheckpointSource], load: Load) -> Iterator[Prefetcher]:
    """A prefetcher over `sources`; whatever it was still loading at the end is let go."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load-network")
    try:
        yield Prefetcher(sources, load, pool)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class LastLoaded:
    """The network of a checkpoint, kept until another one's is asked for."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._kept: tuple[CheckpointSource, Network] | None = None

    def take(self, source: CheckpointSource) -> Network:
        """The network of `source`."""
        if self._kept is None or self._kept[0] != source:
            self._kept = None  # before the next is loaded: memory holds one
            self._kept = (source, self._load(source))
        return self._kept[1]
