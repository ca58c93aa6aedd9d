"""``isoscope study activations``, ``width-depth``, ``generalisation``: the published study of representation dissimilarity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from service import cli_options as options
from service.cli_options import numbers, quoted
from service.cli_output import found, progress_bar, show_answers, show_json
from service.errors import BadInput
from service.settings import Settings

Quick = Annotated[bool, typer.Option("--quick", help="Fewer and shorter trainings: minutes on two cores.")]
Networks = Annotated[Path, typer.Option(help="Where a study's own networks are trained and kept.")]
NETWORKS = Path("isoscope-networks")

# {dataset} and {models} stand for a name and a list of names in quotes
ACTIVATIONS = (
    (
        "1. What is lost where one network's bottom is put under another's top, within and across activation functions?",
        "select activation_a as bottom, activation_b as top, width, blocks, step, layer_a, map, round(penalty, 4) as penalty,\n"
        "       round(penalty_spread, 4) as spread, round(penalty_over_self, 4) as over_self,\n"
        "       round(accuracy_change, 4) as accuracy_change, round(loss_of_b, 4) as loss_of_top, stitchings as pairs,\n"
        "       round(converged, 2) as converged\n"
        "from lab.activation_stitching where dataset = {dataset} order by all",
    ),
    (
        "2. Does the asymmetry show? Below 0: the features of the first are the more useful",
        "select activation_a, activation_b, width, blocks, step, layer_a, map, round(penalty_a_to_b, 4) as penalty_a_to_b,\n"
        "       round(penalty_b_to_a, 4) as penalty_b_to_a, round(asymmetry, 4) as asymmetry,\n"
        "       round(asymmetry_std_error, 4) as std_error, round(asymmetry_over_self, 4) as over_self,\n"
        "       round(asymmetry_over_self_std_error, 4) as over_self_std_error, pairs, networks_a, networks_b,\n"
        "       round(converged, 2) as converged\n"
        "from lab.activation_asymmetry where dataset = {dataset} order by all",
    ),
)
WIDTH_DEPTH = (
    (
        "1. Do neighbouring layers form a block? Again without first tokens, and without top principal components",
        "select model, positions, without_top, round(adjacent, 3) as adjacent, round(distant, 3) as distant,\n"
        "       largest_block, layers from lab.block_structure\n"
        "where model in ({models}) and dataset = {dataset} and measure = 'linear_cka'\n"
        "qualify coalesce(step, -1) = max(coalesce(step, -1)) over (partition by model)\n"
        "order by width, layers, model, positions, without_top",
    ),
    (
        "2. When during training does it form? With and without top principal components",
        "select model, without_top, step, round(adjacent, 3) as adjacent, round(distant, 3) as distant, largest_block, layers\n"
        "from lab.block_structure where model in ({models}) and dataset = {dataset} and measure = 'linear_cka'\n"
        "  and positions = 'not-first' order by width, layers, model, without_top, step",
    ),
    (
        "3. When do the layers become what they are at the end? Similarity of each layer to itself at the last step",
        "select model_a as model, without_top, step_a as step, round(avg(value), 3) as to_the_end,\n"
        "       round(min(value), 3) as least\n"
        "from lab.network_dissimilarity\n"
        "where model_a = model_b and model_a in ({models}) and dataset = {dataset} and layer_a = layer_b and step_a < step_b\n"
        "  and measure = 'linear_cka_debiased' and positions = 'not-first' group by all order by model, without_top, step",
    ),
    (
        "4. Which sizes are alike? The mean over layers of the nearest layer's similarity",
        "select model_a, model_b, without_top, round(avg(value), 3) as nearest, round(avg(null_mean), 3) as by_chance,\n"
        "       bool_and(monotone) as monotone, round(any_value(depth_correlation), 2) as depth_correlation\n"
        "from lab.nearest_layer where model_a in ({models}) and model_b in ({models}) and model_a <> model_b\n"
        "  and dataset = {dataset} and measure = 'linear_cka_debiased' and positions = 'not-first'\n"
        "group by all order by without_top, nearest desc",
    ),
)
GENERALISATION = (
    (
        "1. Do they agree in distribution, and differ out of it?",
        "select split, count(*) as networks, round(min(accuracy), 3) as lowest, round(median(accuracy), 3) as median,\n"
        "       round(max(accuracy), 3) as highest, round(stddev_samp(accuracy), 3) as spread\n"
        "from lab.classifier_accuracies where model in ({models}) and dataset in ({tested_on}) group by split order by split",
    ),
    (
        "2. Does the distance to the best of them predict it, and from which layer? Above 2: more than chance gives",
        "pivot (select measure, layer, positions, round(spearman_z, 2) as z from lab.generalisation_by_distance\n"
        "       where reference in ({models}) and tested_on in ({tested_on}) and dataset = {dataset} and without_top = 0)\n"
        "on layer using any_value(z) order by measure, positions",
    ),
    (
        "3. As rank correlations",
        "select layer, measure, round(spearman, 3) as spearman, round(kendall, 3) as kendall, networks, reference\n"
        "from lab.generalisation_by_distance where reference in ({models}) and tested_on in ({tested_on})\n"
        "  and dataset = {dataset} and without_top = 0 and positions = 'all' order by measure, layer",
    ),
)


def asked(
    questions: Sequence[tuple[str, str]], models: Sequence[str], dataset: str, tested_on: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """Each question with its SQL about some models on a dataset."""
    names = {"models": ", ".join(map(quoted, models)), "dataset": quoted(dataset)}
    names["tested_on"] = ", ".join(map(quoted, tested_on))
    return ((title, query.format(**names)) for title, query in questions)


def activations(
    model: Annotated[
        list[str] | None, typer.Argument(help="Networks of one size; a GELU and SoLU family is trained if not given.")
    ] = None,
    quick: Quick = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="Networks of each activation that are trained.")] = None,
    layers: Annotated[str | None, typer.Option(help="Layers to stitch at, such as 1,2,3.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of each map at most.")] = None,
    networks: Networks = NETWORKS,
    dataset: options.Dataset = "python-reference",
    window: options.Window = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Are SoLU's features of more use than GELU's? Stitching within and across activation functions, both ways round."""
    from service.experiments.activation_study import asked_activations
    from service.experiments.comparison_plan import last_checkpoints
    from service.experiments.small_networks import are_trained
    from service.experiments.stitch_plan import plan
    from service.networks.datasets import open_dataset

    settings, at = Settings(), numbers("--layers", layers)
    study = asked_activations(quick, seeds, at, steps)
    own = [str(networks / name) for name in study.networks]
    items = open_dataset(dataset, window=window)
    todo = not model and not are_trained(networks, study.networks)
    with progress_bar(quiet=json):
        if not todo:
            seams = study.seams(last_checkpoints(model or own))
            todo = bool(plan(settings, seams, dataset, window, study.wanted).todo)
        if todo:
            from flows.similarity_studies import study_activations

            study_activations(
                model,
                str(networks),
                quick,
                seeds,
                at,
                steps,
                dataset,
                window,
                device or settings.device,
                dtype,
                trust_remote_code,
                settings.store_name,
                settings.lock_wait,
            )
        names = [source.checkpoint.model for source in last_checkpoints(model or own)]
    _show(settings, asked(ACTIVATIONS, names, items.dataset.name), json)


def width_depth(
    model: Annotated[
        list[str] | None, typer.Argument(help="Networks of several sizes; a small family is trained if not given.")
    ] = None,
    revision: options.Revisions = None,
    quick: Quick = False,
    networks: Networks = NETWORKS,
    dataset: options.Dataset = "python-reference",
    window: options.Window = None,
    sample: options.Sample = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    batch_size: options.BatchSize = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """What do width and depth do? Layer maps within and across sizes, block structure, and how both come about in training."""
    from service.experiments.small_networks import are_trained
    from service.experiments.width_depth_study import asked_sizes, checkpoints_of, is_answered
    from service.networks.datasets import open_dataset

    settings, study = Settings(), asked_sizes(quick, sample)
    own = [str(networks / name) for name in study.networks]
    items = open_dataset(dataset, window=window, sample=study.sample)
    revisions = (revision or []) if model else study.revisions
    with progress_bar(quiet=json):
        there = bool(model) or are_trained(networks, study.networks)
        if not there or not is_answered(settings, study, checkpoints_of(model or own, revisions), items):
            from flows.similarity_studies import study_width_depth

            study_width_depth(
                model,
                revision,
                str(networks),
                quick,
                dataset,
                window,
                sample,
                device or settings.device,
                dtype,
                batch_size,
                trust_remote_code,
                settings.store_name,
                settings.lock_wait,
            )
        names = [family[-1].checkpoint.model for family in checkpoints_of(model or own, revisions)]
    _show(settings, asked(WIDTH_DEPTH, names, items.dataset.name), json)


def generalisation(
    model: Annotated[
        list[str] | None,
        typer.Argument(help="Fine-tunings of one encoder; a small one is trained and tuned if not given."),
    ] = None,
    in_distribution: Annotated[
        str | None, typer.Option(help="Labelled texts like those they were tuned on: Parquet or JSON lines.")
    ] = None,
    out_of_distribution: Annotated[str | None, typer.Option(help="Labelled texts unlike those.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="Names of the files' classes, such as 'entailment,neutral|contradiction'.")
    ] = None,
    stands_for: Annotated[
        str | None, typer.Option(help="The files' class that each class of a network is, such as 1,0,1.")
    ] = None,
    quick: Quick = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="Fine-tunings that are made.")] = None,
    networks: Networks = NETWORKS,
    dataset: Annotated[
        str | None,
        typer.Option(help="The texts that the states are of; the file out of distribution, else cued-sentences."),
    ] = None,
    texts: options.Texts = None,
    device: options.Device = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Do fine-tunings that generalise alike look alike? Distance to the best one against accuracy out of distribution."""
    from service.experiments.comparison_plan import last_checkpoints
    from service.experiments.generalisation_study import asked_generalisation, is_answered

    settings = Settings()
    names_of_classes = classes.split(",") if classes else None
    own_classes = numbers("--stands-for", stands_for)
    question = asked_generalisation(
        quick, seeds, in_distribution, out_of_distribution, names_of_classes or (), own_classes or (), dataset, texts
    )
    if model and not in_distribution:
        raise BadInput(
            "networks of yours are judged on texts of yours: give --in-distribution and --out-of-distribution"
        )
    own = [str(networks / name) for name in question.study.networks]
    with progress_bar(quiet=json):
        there = bool(model) or question.study.are_trained(networks)
        if not there or not is_answered(settings, question, last_checkpoints(model or own)):
            from flows.similarity_studies import study_generalisation

            study_generalisation(
                model,
                in_distribution,
                out_of_distribution,
                names_of_classes,
                own_classes,
                str(networks),
                quick,
                seeds,
                dataset,
                texts,
                device or settings.device,
                trust_remote_code,
                settings.store_name,
                settings.lock_wait,
            )
        models = [source.checkpoint.model for source in last_checkpoints(model or own)]
    tested_on = [question.inside.name, question.outside.name]
    _show(settings, asked(GENERALISATION, models, question.items.dataset.name, tested_on), json)


def _show(settings: Settings, questions: Iterator[tuple[str, str]], json: bool) -> None:
    if json:
        show_json(found(settings, questions))
    else:
        show_answers(settings, questions)


def add_studies(study: typer.Typer) -> None:
    """Make them commands of ``isoscope study``."""
    study.command()(activations)
    study.command("width-depth")(width_depth)
    study.command()(generalisation)
