"""How many CPU threads the work is shared among."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Job = TypeVar("Job")
Found = TypeVar("Found")
MOST_AT_ONCE = 8  # each job of the measures may hold a gigabyte at a wide network's widths


def side_by_side(work: Callable[[Job], Found], jobs: Sequence[Job]) -> Iterator[Found]:
    """What `work` finds for each job, in the jobs' order. As many run at a time as torch has threads, each on one of
    them: half of a measure is code that cannot be shared among threads, and an eigenvalue solver's threads wait for each
    other thousands of times: alone they gain nothing at these widths, and on a busy machine each wait may last a time slice
    (100 times slower, measured). Jobs not begun are dropped when the caller stops.
    """
    before = torch.get_num_threads()
    with ThreadPoolExecutor(min(before, len(jobs), MOST_AT_ONCE) or 1, "measure", torch.set_num_threads, (1,)) as pool:
        try:
            yield from pool.map(work, jobs)
        finally:
            # the count of a thread is its own, but that of the next thread to start is what was set last, by whomever
            torch.set_num_threads(before)


@contextmanager
def working_threads(count: int) -> Iterator[None]:
    """Within the block, torch works with so many threads; as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
