"""The shape of learning, as a flow: one task a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Literal

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import artifact_key, leave_results, tag_run
from flows.events import checkpoint_measured
from flows.failures import in_one_line, raise_together
from flows.networks import Prefetcher, prefetching
from flows.parameters import Characters, Count, Layer, Place, Seconds, States, name_of_checkpoints
from flows.parts import gathered, one_by_one, part
from flows.progress_artifact import progress_shown, say
from flows.ray_runner import Cluster, Job, measured_on_ray, require_ray
from service.errors import BadInput, IsoscopeError
from service.experiments.layer_question import Missing, Question, ask, missing
from service.experiments.measure_layers import Outcome, measure_checkpoint
from service.experiments.progress import Progress, tell
from service.networks.checkpoints import CheckpointSource, find_checkpoints, load
from service.storage.database import Store, open_store, publish, tidy
from service.storage.rows import record
from service.subjects import Checkpoint


@part("measure checkpoint", "{source.checkpoint.label} on {question.items.dataset.name}")
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


@flow(name="measure-layers", flow_run_name=name_of_checkpoints, persist_result=False)
@in_one_line
def measure_layers(
    model: str,
    revisions: list[str] | None = None,
    dataset: str = "python-reference",
    measures: list[str] | None = None,
    layers: list[Layer] | None = None,
    tokens: Count | None = None,
    window: Characters | None = None,
    sample: States | None = None,
    as_released: bool = False,
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: Count | None = None,
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
    runner: Literal["local", "ray"] = "local",
    ray_address: str | None = None,
    num_gpus: Annotated[float, Field(ge=0)] = 0.0,
    num_cpus: Annotated[float, Field(ge=0)] = 1.0,
) -> list[Outcome]:
    """Measure the shape of every layer of a model's checkpoints on a dataset, and record what the store lacks.

    Raises IsoscopeError naming every checkpoint that could not be measured, after the others have been. The lines below are
    the run form of the Prefect UI.

    Args:
        model: A hub name, a checkpoint folder, or a folder of checkpoint folders.
        revisions: Revisions or patterns such as step*; all checkpoints if not given.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        measures: Names as `isoscope ls measures` prints them; all of them if not given.
        layers: Layers to measure, 0 is the embedding; all if not given.
        tokens: Run at least this many tokens.
        window: Characters in a window of text.
        sample: States kept of each layer.
        as_released: Also measure by the published procedures as their authors run them.
        name: What to call a local model in the store.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        batch_size: Windows in a batch.
        trust_remote_code: Run code that the model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
        runner: local, one checkpoint after another here; ray, on the workers of a Ray cluster.
        ray_address: Such as ray://head:10001, or auto; a cluster on this host alone if not given.
        num_gpus: GPUs that Ray gives to each checkpoint.
        num_cpus: CPU cores that Ray gives to each checkpoint.
    """
    logger = get_run_logger()
    if runner == "ray":
        require_ray()
    elif ray_address or num_gpus:
        raise BadInput("--ray-address and --num-gpus are for --runner ray: give that too")
    question = ask(dataset, measures or (), layers, tokens, window, sample, as_released)
    sources = find_checkpoints(model, revisions or (), name)
    opened = open_store(store, lock_wait, say)
    lacking = missing(opened, [source.checkpoint for source in sources], question, say)
    todo = [source for source in sources if lacking[source.checkpoint]]
    logger.info("%d of %d checkpoints to measure on %s", len(todo), len(sources), question.items.dataset.name)
    loading = partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    job = Job(question, opened, loading, batch_size, 0, str(flow_run.id))
    cluster = Cluster(ray_address, num_cpus, num_gpus) if runner == "ray" else None
    measured = sources[0].checkpoint.model, question.items.dataset.name
    tag_run(*measured)
    with progress_shown(artifact_key("progress", *measured)):
        results = _on_ray(cluster, todo, lacking, job) if cluster else _one_by_one(todo, job)
        outcomes, failures = gathered(_announced(results, opened, measured[1]), len(todo))
    publish(opened)
    leave_results(opened, *measured)
    raise_together(failures, len(todo))
    return outcomes


def _announced(
    results: Iterable[Outcome | BaseException], store: Store, dataset: str
) -> Iterator[Outcome | BaseException]:
    """The same results, an event sent of each checkpoint that was measured."""
    for result in results:
        if isinstance(result, Outcome):
            checkpoint_measured(store, result, dataset)
        yield result


def _one_by_one(todo: Sequence[CheckpointSource], job: Job) -> Iterator[Outcome | BaseException]:
    """Each checkpoint's outcome, or why there is none, one after another in this process."""
    with prefetching(todo, job.loading) as networks:
        alike = job.question, job.store, networks, job.batch_size, job.seed, job.run_id
        yield from one_by_one(measure_one, [(source.checkpoint.label, (source, *alike)) for source in todo])


def _on_ray(
    cluster: Cluster, todo: Sequence[CheckpointSource], lacking: Mapping[Checkpoint, Missing], job: Job
) -> Iterator[Outcome | BaseException]:
    """Each checkpoint's outcome, or why there is none, as Ray's workers finish; the rows are recorded here."""
    tell(Progress("checkpoints", "", 0, len(todo), "checkpoints"))
    for done, found in enumerate(measured_on_ray(cluster, todo, lacking, job)):
        if isinstance(found, BaseException):
            yield found
            continue
        tell(Progress("checkpoints", found.outcome.checkpoint.label, done, len(todo), "checkpoints"))
        try:
            if found.rows is not None:
                record(job.store, found.rows, say)
            publish(job.store, say)
        except IsoscopeError as error:
            yield error
            continue
        yield found.outcome
    tidy(job.store)  # the drafts of workers that died
