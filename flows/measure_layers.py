"""The shape of learning, as a flow: one task a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run
from prefect.tasks import Task

from flows.artifacts import leave_figures, leave_table
from flows.networks import Prefetcher, prefetching
from service.errors import IsoscopeError, StoreBusy
from service.experiments.layer_question import Question, ask, missing
from service.experiments.measure_layers import Outcome, measure_checkpoint
from service.experiments.progress import Progress, tell, tell_waiting
from service.networks.checkpoints import CheckpointSource, find_checkpoints, load
from service.storage.database import Store, open_store, publish


def worth_retrying(_task: Task, _run: TaskRun, state: State) -> bool:
    """Whether trying again may help: what Isoscope can name stays as it is, save a busy store."""
    cause = state.result(raise_on_failure=False)
    return isinstance(cause, StoreBusy) or not isinstance(cause, IsoscopeError)


def say(waiting_for: str) -> None:
    """Tell both the run's log and whoever watches it what the run is waiting for."""
    get_run_logger().warning(waiting_for)
    tell_waiting(waiting_for)


@task(
    name="measure checkpoint",
    task_run_name="{source.checkpoint.label} on {question.items.dataset.name}",
    tags=["gpu"],
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def measure_one(
    source: CheckpointSource,
    question: Question,
    store: Store,
    networks: Prefetcher,
    batch_size: int | None,
    seed: int,
    run_id: str | None,
) -> Outcome:
    """Measure one checkpoint and publish what was found."""
    logger = get_run_logger()
    outcome = measure_checkpoint(
        store,
        source.checkpoint,
        question,
        partial(networks.take, source),
        batch_size=batch_size,
        flow_run_id=run_id,
        seed=seed,
        on_wait=say,
    )
    publish(store)
    logger.info("%d rows at %d layers in %.1f s", outcome.rows, outcome.sites, outcome.seconds)
    return outcome


def run_name() -> str:
    """``pythia-410m step3000 on enwik8``, or how many checkpoints of the model there may be."""
    given = flow_run.parameters
    model = str(given["model"]).rstrip("/").rsplit("/", 1)[-1]
    revisions: list[str] = given.get("revisions") or []
    several = f"{len(revisions)} revisions" if revisions else "all checkpoints"
    steps = revisions[0] if len(revisions) == 1 else several
    dataset = str(given["dataset"]).rstrip("/").rsplit("/", 1)[-1]
    return f"{given.get('name') or model} {steps} on {dataset}"


@flow(name="measure-layers", flow_run_name=run_name, persist_result=False)
def measure_layers(
    model: str,
    revisions: list[str] | None = None,
    dataset: str = "python-reference",
    measures: list[str] | None = None,
    layers: list[int] | None = None,
    tokens: int | None = None,
    window: int | None = None,
    sample: int | None = None,
    as_released: bool = False,
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    trust_remote_code: bool = False,
    store: Path = Path("isoscope-store"),
    lock_wait: float = 60.0,
) -> list[Outcome]:
    """Measure the shape of every layer of a model's checkpoints on a dataset, and record what the store lacks.

    Raises IsoscopeError naming every checkpoint that could not be measured, after the others have been.
    """
    logger = get_run_logger()
    question = ask(dataset, measures or (), layers, tokens, window, sample, as_released)
    sources = find_checkpoints(model, revisions or (), name)
    opened = open_store(store, lock_wait, say)
    lacking = missing(opened, [source.checkpoint for source in sources], question, say)
    todo = [source for source in sources if lacking[source.checkpoint]]
    logger.info("%d of %d checkpoints to measure on %s", len(todo), len(sources), question.items.dataset.name)
    loading = partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    outcomes: list[Outcome] = []
    failures: list[Any] = []
    with prefetching(todo, loading) as networks:
        for done, source in enumerate(todo):
            tell(Progress("checkpoints", source.checkpoint.label, done, len(todo), "checkpoints"))
            state = measure_one(source, question, opened, networks, batch_size, 0, str(flow_run.id), return_state=True)
            result = state.result(raise_on_failure=False)
            if isinstance(result, Outcome):
                outcomes.append(result)
            else:
                failures.append(result)
        tell(Progress("checkpoints", "", len(todo), len(todo), "checkpoints"))
    publish(opened)
    leave_table(opened, sources[0].checkpoint.model, question.items.dataset.name)
    leave_figures(opened, sources[0].checkpoint.model, question.items.dataset.name)
    _raise_together(failures, len(todo))
    return outcomes


def _raise_together(failures: Sequence[BaseException], asked: int) -> None:
    """One error for all: the only one as it is, several as a count and the first. Raises what was found."""
    if not failures:
        return
    if (len(failures) == 1 and asked == 1) or not isinstance(failures[0], IsoscopeError):
        raise failures[0]
    raise type(failures[0])(f"{len(failures)} of {asked} checkpoints could not be measured, the first: {failures[0]}")
