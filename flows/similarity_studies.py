"""The studies of representation dissimilarity: published networks by name, or a small family that a study trains for itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from flows import compare_networks as comparing
from flows import stitch_networks as stitching
from flows.artifacts import artifact_key, leave_figure, leave_rows, tag_run
from flows.failures import in_one_line, raise_together
from flows.parameters import Characters, Count, Layer, Place, Seconds, States
from flows.parts import outcomes_of, part
from flows.progress_artifact import progress_shown, say
from service.experiments.activation_study import asked_activations
from service.experiments.compare_networks import Comparer
from service.experiments.compare_networks import Outcome as Compared
from service.experiments.comparison_plan import last_checkpoints
from service.experiments.generalisation_study import asked_generalisation, comparisons
from service.experiments.judging import Judging
from service.experiments.small_networks import SmallNetwork, train_networks
from service.experiments.stitch_networks import Outcome as Stitched
from service.experiments.stitch_networks import Stitcher
from service.experiments.width_depth_study import asked_sizes, checkpoints_of
from service.networks.checkpoints import CheckpointSource, load
from service.networks.datasets import open_dataset
from service.storage.database import open_store, publish

ASYMMETRY = """
select activation_a, activation_b, width, blocks, step, layer_a, layer_b, map,
       round(penalty_a_to_b, 4) as penalty_a_to_b,
       round(penalty_b_to_a, 4) as penalty_b_to_a, round(asymmetry, 4) as asymmetry,
       round(asymmetry_std_error, 4) as std_error, round(asymmetry_over_self, 4) as over_self,
       round(asymmetry_over_self_std_error, 4) as over_self_std_error, pairs, round(converged, 2) as converged
from lab.activation_asymmetry where dataset = ? order by all
"""
BLOCKS = """
select model, step, measure, positions, without_top, round(adjacent, 3) as adjacent, round(distant, 3) as distant,
       largest_block, layers
from lab.block_structure where dataset = ? order by width, layers, model, step, measure, positions, without_top
"""
CORRELATIONS = """
select layer, measure, positions, round(spearman, 3) as spearman, round(spearman_z, 2) as spearman_z,
       round(kendall, 3) as kendall, networks, reference
from lab.generalisation_by_distance where tested_on = ? and dataset = ? order by measure, positions, layer
"""


def study_name() -> str:
    """``study-activations: 6 networks``, or that it is of its own."""
    given = flow_run.parameters
    models = given.get("models") or []
    return f"{flow_run.flow_name}: {len(models)} networks" if models else f"{flow_run.flow_name}: its own networks"


def family(models: list[str] | None, folder: str, networks: Mapping[str, SmallNetwork]) -> list[str]:
    """The networks that a study is of: those named, or its own, trained where they are not there."""
    return models or [str(place) for place in train_networks(Path(folder), networks)]


@flow(name="study-activations", flow_run_name=study_name, persist_result=False)
@in_one_line
def study_activations(
    models: list[str] | None = None,
    networks: Place = "isoscope-networks",
    quick: bool = False,
    seeds: Count | None = None,
    layers: list[Layer] | None = None,
    steps: Count | None = None,
    dataset: str = "python-reference",
    window: Characters | None = None,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Stitched]:
    """Stitch networks that differ in their activation function, within and across, both ways round.

    The lines below are the run form of the Prefect UI.

    Args:
        models: Networks of the same size; a small family of GELU and SoLU networks is trained if not given.
        networks: The folder where its own networks are trained and kept.
        quick: Fewer and shorter trainings.
        seeds: Networks of each activation function that it trains.
        layers: Layers to stitch at.
        steps: Optimiser steps of each map at most.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        window: Characters in a window of text.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    study = asked_activations(quick, seeds, layers, steps)
    items = open_dataset(dataset, window=window)
    opened = open_store(store, lock_wait, say)
    tag_run("activations")
    with progress_shown(artifact_key("progress", "activations")):
        sources = last_checkpoints(family(models, networks, study.networks))
        loading = partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
        network = lru_cache(maxsize=2)(loading)
        stitcher = Stitcher(opened, items, study.wanted, network, str(flow_run.id), say)
        outcomes, failures = stitching.stitched(study.seams(sources), stitcher)
    leave_rows(
        opened, ASYMMETRY, [items.dataset.name], artifact_key("activations"), "asymmetry of activation functions"
    )
    raise_together(failures, len(outcomes) + len(failures), stitching.FAILED)
    return outcomes


@flow(name="study-width-depth", flow_run_name=study_name, persist_result=False)
@in_one_line
def study_width_depth(
    models: list[str] | None = None,
    revisions: list[str] | None = None,
    networks: Place = "isoscope-networks",
    quick: bool = False,
    dataset: str = "python-reference",
    window: Characters | None = None,
    sample: States | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: Count | None = None,
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Compared]:
    """Compare networks of several widths and depths: each with itself, with the others, and over its training.

    The lines below are the run form of the Prefect UI.

    Args:
        models: Networks of a family; a small one is trained if not given.
        revisions: Revisions or patterns such as step*: the checkpoints of those networks that are compared.
        networks: The folder where its own networks are trained and kept.
        quick: Fewer and shorter trainings.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        window: Characters in a window of text.
        sample: States kept of each layer.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        batch_size: Windows in a batch.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    study = asked_sizes(quick, sample)
    items = open_dataset(dataset, window=window, sample=study.sample)
    opened = open_store(store, lock_wait, say)
    tag_run("width-depth")
    with progress_shown(artifact_key("progress", "width-depth")):
        asked = family(models, networks, study.networks)
        families = checkpoints_of(asked, (revisions or ()) if models else study.revisions)
        loading = partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
        comparer = Comparer(opened, items, study.sample, study.comparison, loading, batch_size, str(flow_run.id), say)
        outcomes, failures = comparing.compared(study.comparisons(families, comparer))
    leave_rows(
        opened, BLOCKS, [items.dataset.name], artifact_key("block-structure"), "block structure by width and depth"
    )
    names = [family[-1].checkpoint.model for family in families]
    leave_figure(
        opened, "map", names, artifact_key("map", "width-depth"), "networks of several sizes", [items.dataset.name]
    )
    raise_together(failures, len(outcomes) + len(failures), comparing.FAILED)
    return outcomes


@part("judge a fine-tuning", "{source.checkpoint.label}")
def judge(source: CheckpointSource, judging: Judging, comparer: Comparer) -> int:
    """Read a fine-tuning's states, judge it in and out of distribution, and publish both."""
    comparer.summaries(source)
    judged = judging.judge(source)
    publish(judging.store)
    return judged


@flow(name="study-generalisation", flow_run_name=study_name, persist_result=False)
@in_one_line
def study_generalisation(
    models: list[str] | None = None,
    in_distribution: str | None = None,
    out_of_distribution: str | None = None,
    classes: list[str] | None = None,
    stands_for: list[Layer] | None = None,
    networks: Place = "isoscope-networks",
    quick: bool = False,
    seeds: Count | None = None,
    dataset: str | None = None,
    texts: Count | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Compared]:
    """Set the distance of fine-tunings to the best of them against how much worse they do out of distribution.

    The lines below are the run form of the Prefect UI.

    Args:
        models: Fine-tunings of one encoder; a small encoder is trained and tuned if not given.
        in_distribution: A file of labelled texts like those it was tuned on.
        out_of_distribution: A file of labelled texts unlike those.
        classes: The names of the classes in those files; several names of one class as neutral|contradiction.
        stands_for: The class of those files that each class of a network is, where a network has others.
        networks: The folder where its own networks are trained and kept.
        quick: Fewer fine-tunings.
        seeds: Fine-tunings that it makes.
        dataset: The texts that the states are of; the file out of distribution, else cued-sentences.
        texts: How many of them are read.
        device: cuda, cpu or auto.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    asked = asked_generalisation(
        quick, seeds, in_distribution, out_of_distribution, classes or (), stands_for or (), dataset, texts
    )
    opened = open_store(store, lock_wait, say)
    publish(opened)
    tag_run("generalisation")
    run_id, loading = str(flow_run.id), partial(load, device=device, trust_remote_code=trust_remote_code)
    judging = Judging(opened, asked.inside, asked.outside, asked.classes, device, run_id, say)
    comparer = Comparer(opened, asked.items, asked.study.sample, asked.comparison, loading, None, run_id, say)
    with progress_shown(artifact_key("progress", "generalisation")):
        sources = last_checkpoints(models or asked.study.trained(Path(networks)))
        todo = [source for source in sources if judging.lacks(source)]
        judged = [(source.checkpoint.label, (source, judging, comparer)) for source in todo]
        _, failures = outcomes_of(judge, judged, "fine-tunings")
        raise_together(failures, len(todo), "fine-tunings could not be judged")
        pairs = comparisons(opened, sources, asked.outside)
        outcomes, failures = comparing.compared([(pair, comparer) for pair in pairs])
    about = [asked.outside.name, asked.items.dataset.name]
    leave_rows(opened, CORRELATIONS, about, artifact_key("generalisation"), "distance against generalisation")
    names = [source.checkpoint.model for source in sources]
    leave_figure(opened, "map", names, artifact_key("map", "generalisation"), "fine-tunings", about[1:])
    raise_together(failures, len(outcomes) + len(failures), comparing.FAILED)
    return outcomes
