"""Is what one network has at a layer of use to another? One task a pair of layers, whose failure does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.artifacts import artifact_key, leave_figure, leave_rows, tag_run
from flows.failures import in_one_line, raise_together
from flows.parameters import Characters, Count, Place, Seconds, name_of_two_networks
from flows.parts import outcomes_of, part
from flows.progress_artifact import progress_shown, say
from service.experiments.comparison_plan import asked_pairs
from service.experiments.stitch_networks import Outcome, Seam, Stitcher, Wanted
from service.experiments.stitch_plan import asked_seams
from service.networks.checkpoints import load
from service.networks.datasets import open_dataset
from service.storage.database import open_store, publish

FAILED = "pairs of layers could not be stitched"
SHOWN = """
select model_a, step_a, layer_a, model_b, step_b, layer_b, map, steps, round(penalty, 4) as penalty,
       round(penalty_std_error, 4) as std_error, round(accuracy_change, 4) as accuracy_change, converged
from lab.stitching where list_contains([?, ?], model_a) and list_contains([?, ?], model_b) and dataset = ?
order by all
"""


@part("stitch two checkpoints", "{seam.label}")
def stitch_seam(seam: Seam, stitcher: Stitcher) -> Outcome:
    """Stitch at one pair of layers and publish what was found."""
    outcome = stitcher.stitch(seam)
    publish(stitcher.store)
    get_run_logger().info("%d maps in %.1f s", len(outcome.results), outcome.seconds)
    return outcome


@flow(name="stitch-networks", flow_run_name=name_of_two_networks, persist_result=False)
@in_one_line
def stitch_networks(
    first: str,
    second: str,
    layers: str,
    revisions_first: list[str] | None = None,
    revisions_second: list[str] | None = None,
    dataset: str = "python-reference",
    maps: list[str] | None = None,
    both_ways: bool = True,
    steps: Count = 300,
    window: Characters | None = None,
    name_first: str | None = None,
    name_second: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Outcome]:
    """Put a map between a layer of one network, which gives the bottom, and the next block of another; record what is lost.

    The lines below are the run form of the Prefect UI.

    Args:
        first: A hub name, a checkpoint folder, or a folder of checkpoint folders; gives the bottom.
        second: The other network; may be the same.
        layers: Pairs of layers such as 3:3,4:5.
        revisions_first: Revisions or patterns such as step*; the last checkpoint if not given.
        revisions_second: The same of the other network.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        maps: affine, linear, orthogonal, least-squares, procrustes, identity; the usual ones if not given.
        both_ways: Also with the second network for a bottom.
        steps: Optimiser steps at most of each map that is trained; fewer where it comes to rest.
        window: Characters in a window of text.
        name_first: What to call a local model in the store.
        name_second: The same of the other network.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    wanted = Wanted(tuple(maps or ()), steps)
    pairs = asked_pairs(first, second, revisions_first, revisions_second, name_first, name_second)
    seams = asked_seams(pairs, layers, both_ways)
    items = open_dataset(dataset, window=window)
    opened = open_store(store, lock_wait, say)
    network = lru_cache(maxsize=2)(partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code))
    stitcher = Stitcher(opened, items, wanted, network, str(flow_run.id), say)
    models = [pairs[0].first.checkpoint.model, pairs[0].second.checkpoint.model]
    subjects = *sorted(set(models)), "stitching"
    tag_run(*subjects)
    with progress_shown(artifact_key("progress", *subjects)):
        outcomes, failures = stitched(seams, stitcher)
    key = artifact_key("stitching", *models)
    leave_rows(opened, SHOWN, [*models, *models, items.dataset.name], key, f"stitching of {' and '.join(models)}")
    leave_figure(opened, "stitching", models, artifact_key("figure", key), " and ".join(models), [items.dataset.name])
    raise_together(failures, len(outcomes) + len(failures), FAILED)
    return outcomes


def stitched(seams: Sequence[Seam], stitcher: Stitcher) -> tuple[list[Outcome], list[BaseException]]:
    """What the store lacked, stitched and published, and why some of it could not be."""
    todo = [seam for seam in seams if stitcher.lacks(seam)]
    get_run_logger().info("%d of %d pairs of layers to stitch", len(todo), len(seams))
    found = outcomes_of(stitch_seam, [(seam.label, (seam, stitcher)) for seam in todo], "pairs")
    publish(stitcher.store)
    return found
