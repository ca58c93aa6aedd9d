"""Do two networks think alike? One task a pair of checkpoints, whose failure does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import artifact_key, leave_figure, leave_rows, tag_run
from flows.failures import in_one_line, raise_together
from flows.networks import LastLoaded
from flows.parameters import Characters, Count, Place, Seconds, States, name_of_two_networks
from flows.parts import outcomes_of, part
from flows.progress_artifact import progress_shown, say
from service.experiments.compare_networks import Comparer, Outcome, PairOfNetworks
from service.experiments.comparison_plan import asked_comparison, asked_pairs
from service.networks.checkpoints import load
from service.networks.datasets import DEFAULT_SAMPLE, open_dataset
from service.storage.database import open_store, publish
from service.subjects import Permuted

FAILED = "pairs of checkpoints could not be compared"
SHOWN = """
select step_a, layer_a, step_b, layer_b, measure, positions, round(value, 4) as value, round(null_mean, 4) as null_mean,
       round(z, 1) as z, monotone
from lab.nearest_layer where model_a = ? and model_b = ? and dataset = ? and without_top = 0
order by step_a, step_b, measure, positions, layer_a
"""


@part("compare two checkpoints", "{pair.label}")
def compare_pair(pair: PairOfNetworks, comparer: Comparer) -> Outcome:
    """Compare one pair of checkpoints and publish what was found."""
    outcome = comparer.compare(pair)
    publish(comparer.store)
    if outcome.warning:
        get_run_logger().warning(outcome.warning)
    get_run_logger().info("%d rows at %d common places in %.1f s", outcome.rows, outcome.pairs, outcome.seconds)
    return outcome


@flow(name="compare-networks", flow_run_name=name_of_two_networks, persist_result=False)
@in_one_line
def compare_networks(
    first: str,
    second: str,
    revisions_first: list[str] | None = None,
    revisions_second: list[str] | None = None,
    dataset: str = "python-reference",
    measures: list[str] | None = None,
    permutations: Annotated[int, Field(ge=0)] = 20,
    without_top: Annotated[int, Field(ge=0, le=3)] = 0,
    permute: Permuted = "items",
    window: Characters | None = None,
    sample: States | None = None,
    name_first: str | None = None,
    name_second: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: Count | None = None,
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Outcome]:
    """Compare all layers of one network with all layers of another, where both end a token; record what the store lacks.

    The lines below are the run form of the Prefect UI.

    Args:
        first: A hub name, a checkpoint folder, or a folder of checkpoint folders.
        second: The other network; may be the same.
        revisions_first: Revisions or patterns such as step*; the last checkpoint if not given.
        revisions_second: The same of the other network.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        measures: Names of measures of pairs; the usual ones if not given.
        permutations: Random pairings that each value is set against.
        without_top: Principal components taken out of both clouds.
        permute: What a random pairing puts in another order, items (whole texts or images) or single points.
        window: Characters in a window of text.
        sample: States kept of each layer.
        name_first: What to call a local model in the store.
        name_second: The same of the other network.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        batch_size: Windows in a batch.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    comparison = asked_comparison(measures, permutations, without_top, permute)
    pairs = asked_pairs(first, second, revisions_first, revisions_second, name_first, name_second)
    items = open_dataset(dataset, window=window, sample=sample)
    opened = open_store(store, lock_wait, say)
    networks = LastLoaded(partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code))
    size = sample or DEFAULT_SAMPLE
    comparer = Comparer(opened, items, size, comparison, networks.take, batch_size, str(flow_run.id), say)
    models = [pairs[0].first.checkpoint.model, pairs[0].second.checkpoint.model]
    subjects = *sorted(set(models)), "similarity"
    tag_run(*subjects)
    with progress_shown(artifact_key("progress", *subjects)):
        outcomes, failures = compared([(pair, comparer) for pair in pairs])
    key = artifact_key("similarity", *models)
    leave_rows(opened, SHOWN, [*models, items.dataset.name], key, f"nearest layers of {' and '.join(models)}")
    leave_figure(opened, "similarity", models, artifact_key("figure", key), " and ".join(models), [items.dataset.name])
    raise_together(failures, len(outcomes) + len(failures), FAILED)
    return outcomes


def compared(asked: Sequence[tuple[PairOfNetworks, Comparer]]) -> tuple[list[Outcome], list[BaseException]]:
    """What the store lacked of each pair, compared and published, and why some of it could not be."""
    todo = [(pair, comparer) for pair, comparer in asked if comparer.lacks(pair)]
    get_run_logger().info("%d of %d pairs of checkpoints to compare", len(todo), len(asked))
    found = outcomes_of(compare_pair, [(pair.label, (pair, comparer)) for pair, comparer in todo], "pairs")
    for store in {comparer.store for _, comparer in todo}:
        publish(store)
    return found
