"""How the layers drift with depth, as a flow: one task a checkpoint."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import artifact_key, leave_figure, leave_rows, tag_run
from flows.failures import in_one_line, raise_together
from flows.networks import Prefetcher, prefetching
from flows.parameters import Count, Place, Seconds, States, name_of_checkpoints
from flows.parts import outcomes_of, part
from flows.progress_artifact import progress_shown, say
from service.experiments.drift_layers import Drifted, DriftQuestion, ask, drift_checkpoint, missing
from service.networks.checkpoints import CheckpointSource, find_checkpoints, load
from service.storage.database import Store, open_store, publish

SHOWN = """
select step, layer, stream, round(norm_mean, 4) as norm_mean, round(step_length, 4) as step_length,
       round(step_angle, 2) as step_angle, round(step_over_spread, 4) as step_over_spread,
       round(step_over_spread_std_error, 4) as step_over_spread_std_error
from lab.layer_drift where model = ? and dataset = ? order by step, layer
"""


@part("drift of checkpoint", "{source.checkpoint.label} on {question.items.dataset.name}")
def drift_one(
    source: CheckpointSource,
    question: DriftQuestion,
    store: Store,
    networks: Prefetcher,
    batch_size: int | None,
    run_id: str | None,
) -> Drifted:
    """Measure the drift of one checkpoint's layers and publish it."""
    take = partial(networks.take, source)
    found = drift_checkpoint(
        store, source.checkpoint, question, take, batch_size=batch_size, flow_run_id=run_id, on_wait=say
    )
    publish(store)
    get_run_logger().info("%d rows in %.1f s", found.rows, found.seconds)
    return found


def drift_run_name() -> str:
    """``drift of pythia-410m step3000 on enwik8``."""
    return f"drift of {name_of_checkpoints()}"


@flow(name="drift-layers", flow_run_name=drift_run_name, persist_result=False)
@in_one_line
def drift_layers(
    model: str,
    revisions: list[str] | None = None,
    dataset: str = "python-reference",
    texts: Count | None = None,
    length: Count | None = None,
    sample: States | None = None,
    points: Annotated[int, Field(ge=10)] = 200,
    as_released: bool = False,
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: Count | None = None,
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Drifted]:
    """Follow the clouds of a model's layers through depth: the path of their centroids, the growth of their norms, and all
    layers' points on one plane. Records what the store lacks.

    Raises IsoscopeError naming every checkpoint that could not be measured, after the others have been. The lines below are
    the run form of the Prefect UI.

    Args:
        model: A hub name, a checkpoint folder, or a folder of checkpoint folders.
        revisions: Revisions or patterns such as step*; all checkpoints if not given.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        texts: Texts to read.
        length: Tokens read of each text; shorter texts are skipped.
        sample: States kept of each layer.
        points: Points of each layer on the planes.
        as_released: Also run the published study's own procedure.
        name: What to call a local model in the store.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        batch_size: Windows in a batch.
        trust_remote_code: Run code that the model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    question = ask(dataset, texts, length, sample, points, as_released)
    sources = find_checkpoints(model, revisions or (), name)
    opened = open_store(store, lock_wait, say)
    todo = [source for source in sources if missing(opened, source.checkpoint, question, say)]
    drifted = sources[0].checkpoint.model, question.items.dataset.name
    get_run_logger().info("%d of %d checkpoints to measure on %s", len(todo), len(sources), drifted[1])
    loading = partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    tag_run(*drifted)
    with progress_shown(artifact_key("progress", *drifted)), prefetching(todo, loading) as networks:
        alike = question, opened, networks, batch_size, str(flow_run.id)
        parts = [(source.checkpoint.label, (source, *alike)) for source in todo]
        outcomes, failures = outcomes_of(drift_one, parts)
    publish(opened)
    about = f"drift of the layers of {drifted[0]} on {drifted[1]}"
    leave_rows(opened, SHOWN, drifted, artifact_key("drift", *drifted), about)
    leave_figure(opened, "drift", [drifted[0]], artifact_key("drift-figure", *drifted), about, [drifted[1]])
    raise_together(failures, len(todo))
    return outcomes
