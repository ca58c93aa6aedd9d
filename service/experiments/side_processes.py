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

IMPORTED = [
    "service.experiments.small_networks",
    "service.experiments.counterfactual_study",
    "service.training_monitor",
]


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share nothing with this one; whatever ends the block early ends them too, and a Ctrl-C is left to this
    process. They are forked from one that has imported what trainings need and has done nothing else, which saves each of them
    some seven seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_started, initargs=(dict(os.environ),))
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


def _started(environment: dict[str, str]) -> None:
    os.environ.clear()  # it is that of the process they are forked from, which may have been another then
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
