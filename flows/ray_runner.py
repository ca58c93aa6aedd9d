"""Checkpoints measured by the workers of a Ray cluster, their rows handed back to the flow that records them."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.parts import part
from service.errors import BadInput, IsoscopeError
from service.experiments.layer_question import Missing, Question
from service.experiments.measure_layers import Measured, measured
from service.experiments.progress import tell_waiting
from service.networks.checkpoints import CheckpointSource, Network
from service.storage.database import Store
from service.subjects import Checkpoint

if TYPE_CHECKING:
    from prefect_ray import RayTaskRunner

LIVES = 4  # how often a task is begun whose worker dies
ANSWERS_WITHIN = 5.0  # seconds; Ray itself would try for minutes
RAY_SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns of what it will do one day
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # else a worker's death is told on the standard output, among the answers
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
}
ABSENT = "--runner ray needs Ray, which is not installed here: pip install 'isoscope[ray]'"


@dataclass(frozen=True)
class Cluster:
    """Where the workers are, and what one checkpoint takes of them. `address` is ``ray://host:10001``, ``host:6379``,
    ``auto`` for the cluster that this host is part of; None starts one on this host for as long as the flow lasts."""

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True)
class Job:
    """What every checkpoint's task is told alike."""

    question: Question
    store: Store
    loading: Callable[[CheckpointSource], Network]
    batch_size: int | None
    seed: int
    run_id: str | None


@part("measure checkpoint", "{source.checkpoint.label} on {job.question.items.dataset.name}")
def measure_in_worker(source: CheckpointSource, lacking: Missing, job: Job) -> Measured:
    """Measure one checkpoint where this runs: weights are loaded here, summaries written from here, rows returned."""
    found = measured(
        job.store,
        source.checkpoint,
        job.question,
        lacking,
        partial(job.loading, source),
        batch_size=job.batch_size,
        flow_run_id=job.run_id,
        seed=job.seed,
    )
    done = found.outcome
    get_run_logger().info("%d rows at %d layers in %.1f s by %s", done.rows, done.sites, done.seconds, done.worker)
    return found


def require_ray() -> None:
    """Raise BadInput where Ray is not installed."""
    if find_spec("ray") is None or find_spec("prefect_ray") is None:
        raise BadInput(ABSENT)


def measured_on_ray(
    cluster: Cluster, todo: Sequence[CheckpointSource], lacking: Mapping[Checkpoint, Missing], job: Job
) -> Iterator[Measured | BaseException]:
    """What was found of each checkpoint, or why nothing was, in the order in which the workers finish.

    Raises BadInput where it has too little for any, IsoscopeError where it cannot be reached.
    """
    with _running(cluster) as runner:
        import ray
        from prefect_ray.context import remote_options

        shared = ray.put(replace(job, store=Store(_in_full(job.store.place), job.store.lock_wait)))
        with remote_options(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=LIVES - 1):
            futures = {}
            for source in todo:
                asked = {"source": _from_anywhere(source), "lacking": lacking[source.checkpoint], "job": shared}
                future = runner.submit(measure_in_worker, asked)
                futures[future.wrapped_future] = future
        while futures:
            (ready, *_), _ = ray.wait(list(futures))
            future = futures.pop(ready)
            future.wait()  # whatever Ray raises becomes a state here, as everything else is
            yield future.state.result(raise_on_failure=False)


def _from_anywhere(source: CheckpointSource) -> CheckpointSource:
    """A checkpoint that is found from any working folder; the hub's are as they are."""
    return source if source.hub_revision else replace(source, location=str(_in_full(Path(source.location))))


def _in_full(place: Path | str) -> Path | str:
    return place.resolve() if isinstance(place, Path) else place


@contextmanager
def _running(cluster: Cluster) -> Iterator[RayTaskRunner[Any]]:
    """The task runner on the cluster, with a Prefect server that its workers can ask too."""
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    _refuse_deaf(cluster.address)
    import ray
    from prefect_ray import RayTaskRunner

    local = {} if cluster.address else {"include_dashboard": False}
    quiet = {"log_to_driver": False, "logging_level": "ERROR", **local}
    runner: RayTaskRunner[Any] = RayTaskRunner(init_kwargs={"address": cluster.address or "local", **quiet})
    with ExitStack() as stack:
        if not PREFECT_API_URL.value():
            with get_client(sync_client=True) as client:
                stack.enter_context(temporary_settings({PREFECT_API_URL: str(client.api_url)}))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what matters of them is in the error
                stack.enter_context(runner)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            said = " ".join(str(error).split())[:300].rstrip(".")
            raise IsoscopeError(
                f"no Ray cluster at {cluster.address or 'this host'}: {said}; one with tokens needs RAY_AUTH_MODE=token here"
            ) from error
        _refuse_impossible(cluster, ray.cluster_resources())
        yield runner


def _refuse_deaf(address: str | None) -> None:
    """Raise BadInput for an address that is none, IsoscopeError where nobody listens there."""
    if address is None or address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise BadInput(f"--ray-address needs ray://host:10001, host:6379 or auto; got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise IsoscopeError(f"no Ray cluster at {address}: {error}; start it with `ray start --head`") from error


def _refuse_impossible(cluster: Cluster, there: Mapping[str, float]) -> None:
    """Raise BadInput where a cluster that cannot grow lacks what one task takes; say so where it may grow."""
    wanted = {"CPU": cluster.cpus, "GPU": cluster.gpus}
    for kind, count in wanted.items():
        if there.get(kind, 0) >= count:
            continue
        said = f"{count:g} {kind}s for each checkpoint, and the cluster has {there.get(kind, 0):g}"
        if cluster.address is None:
            raise BadInput(
                f"--num-{kind.lower()}s asks for {said}: ask for fewer, or name a larger one with --ray-address"
            )
        tell_waiting(f"for a Ray node: --num-{kind.lower()}s asks for {said}")
