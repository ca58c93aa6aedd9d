"""How the CPU's threads are shared out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from service.networks.threads import MOST_AT_ONCE, side_by_side


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def count_in_a_new_thread() -> int:
    """How many threads torch would use in a thread that starts now."""
    found: list[int] = []
    starting = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    starting.start()
    starting.join()
    return found[0]


def test_jobs_run_two_at_a_time_on_one_thread_each_and_answer_in_order(two_threads: None) -> None:
    together = threading.Barrier(2, timeout=20)

    def work(job: int) -> tuple[int, int]:
        together.wait()  # passes only where another job runs beside
        return job, torch.get_num_threads()

    assert list(side_by_side(work, range(6))) == [(job, 1) for job in range(6)]
    assert torch.get_num_threads() == count_in_a_new_thread() == 2


def test_a_failing_job_stops_those_not_begun_and_leaves_the_count_as_it_was(two_threads: None) -> None:
    begun = []

    def work(job: int) -> int:
        begun.append(job)
        if job == 0:
            raise ValueError("job 0")
        time.sleep(0.001)  # others get their turn, on a busy machine too
        return job

    with pytest.raises(ValueError, match="job 0"):
        list(side_by_side(work, range(10_000)))
    assert len(begun) < 10_000
    assert torch.get_num_threads() == count_in_a_new_thread() == 2


def test_no_job_is_no_work_and_many_threads_are_not_all_used() -> None:
    assert list(side_by_side(str, [])) == []
    running, most, lock = [0], [0], threading.Lock()

    def work(_: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.01)
        with lock:
            running[0] -= 1

    before = torch.get_num_threads()
    torch.set_num_threads(MOST_AT_ONCE + 4)
    try:
        list(side_by_side(work, range(40)))
    finally:
        torch.set_num_threads(before)
    assert most[0] == MOST_AT_ONCE
