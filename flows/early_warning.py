"""Does the dimension grow before the loss explodes? A grid of trainings, one task each, and their scores."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Annotated, Literal

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import artifact_key, leave_figure, leave_rows, tag_run
from flows.failures import in_one_line
from flows.parameters import Count, Place, Seconds
from flows.progress_artifact import progress_shown
from service.errors import IsoscopeError
from service.experiments.early_warning import (
    CONDITIONS,
    Study,
    Training,
    has_scores,
    missing,
    record_study,
    train_one,
)
from service.experiments.progress import Progress, tell
from service.experiments.side_processes import processes
from service.storage.database import Store, open_store, publish
from service.training_monitor import GeometryMonitor

Condition = Literal["none", "high learning rate", "no warm-up", "no clipping", "bad batches", "low precision"]
SHOWN = """
select cause, signal, horizon, trainings, spikes, round(auroc, 3) as auroc, round(auroc_low, 3) as auroc_low,
       round(auroc_high, 3) as auroc_high, round(precision_at_alarms, 3) as precision_at_alarms,
       round(recall_at_alarms, 3) as recall_at_alarms, note
from lab.early_warning_scores where study = ? order by horizon, cause, signal
"""


@task(name="train beside a monitor", task_run_name="{training.name}", cache_policy=NO_CACHE, persist_result=False)
def train_beside_a_monitor(training: Training, store: Store, pool: ProcessPoolExecutor) -> str:
    """One training in a process of its own; its rows are in the ledger when it ends."""
    return pool.submit(train_one, training, store.place, GeometryMonitor).result()


def run_name() -> str:
    """``6 seeds of 600 steps``."""
    given = flow_run.parameters
    return f"early warning: {given['seeds']} seeds of {given['steps']} steps"


@flow(name="early-warning", flow_run_name=run_name, persist_result=False)
@in_one_line
def early_warning(
    conditions: list[Condition] | None = None,
    seeds: Count = 6,
    steps: Annotated[int, Field(ge=100)] = 600,
    every: Annotated[int, Field(ge=1, le=10)] = 2,
    at_once: Count = 2,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> str:
    """Train small decoders with and without what makes a loss spike, and score every signal that might have foretold it.

    Trainings that the store has to their last step are not run again. The lines below are the run form of the Prefect UI.

    Args:
        conditions: What to do to the trainings, all of them if not given; none is an undisturbed training.
        seeds: Trainings of each condition.
        steps: Optimiser steps of each training.
        every: Steps between two probes.
        at_once: Processes that train side by side, one thread each.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    study = Study(tuple(conditions or CONDITIONS), seeds, steps, every)
    opened = open_store(store, lock_wait)
    publish(opened)
    todo = missing(opened, study)
    get_run_logger().info("%d of %d trainings to run", len(todo), len(study.trainings()))
    tag_run(study.name)
    with progress_shown(artifact_key("progress", study.name)):
        failures = _trained(todo, opened, at_once)
    opened = open_store(store, lock_wait)  # the trainings' rows go from the ledger into the database
    publish(opened)
    if failures:
        raise failures[0]
    if todo or not has_scores(opened, study):
        record_study(opened, study, str(flow_run.id))
        publish(opened)
    leave_rows(opened, SHOWN, [study.name], artifact_key(study.name), study.name)
    leave_figure(opened, "early-warning", [study.name], artifact_key("figure", study.name), study.name)
    return study.name


def _trained(todo: Sequence[Training], store: Store, at_once: int) -> list[BaseException]:
    """Run them, `at_once` at a time; why one failed, for each that did."""
    failures: list[BaseException] = []
    waiting: deque[tuple[Training, PrefectFuture[str]]] = deque()
    with processes(at_once) as pool:
        for done, training in enumerate(todo):
            tell(Progress("checkpoints", training.name, done, len(todo), "trainings"))
            waiting.append((training, train_beside_a_monitor.submit(training, store, pool)))
            if len(waiting) == at_once:
                failures += _failure(*waiting.popleft())
        while waiting:
            failures += _failure(*waiting.popleft())
        tell(Progress("checkpoints", "", len(todo), len(todo), "trainings"))
    return failures


def _failure(training: Training, future: PrefectFuture[str]) -> list[BaseException]:
    future.wait()
    found: object = future.state.result(raise_on_failure=False)
    if isinstance(found, BrokenProcessPool):
        found = IsoscopeError(f"the process that ran {training.name} died: run the same again, what is done stays")
    return [found] if isinstance(found, BaseException) else []
