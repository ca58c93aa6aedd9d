"""Processes beside this one, for trainings that run at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

from service.experiments.progress import Progress, tell


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes; whatever ends the block early ends them too, and a Ctrl-C is left to this process."""
    pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_started)
    before = set(multiprocessing.active_children())
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def all_done(
    pool: ProcessPoolExecutor, jobs: Mapping[str, tuple[Any, ...]], before: int = 0, of: int | None = None
) -> list[Any]:
    """What each job made, a function and its arguments under the name of a network, telling of each that is done; `before` were
    done already, `of` are all in all."""
    total = of or before + len(jobs)
    tell(Progress("train", "", before, total, "networks"))
    running = {pool.submit(*job): name for name, job in jobs.items()}
    for done, finished in enumerate(as_completed(running), before + 1):
        finished.result()
        tell(Progress("train", running[finished], done, total, "networks"))
    return [future.result() for future in running]


def _started() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
