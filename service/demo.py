"""The demonstrations: networks trained on the spot, measured by the flows, and asked about in SQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import typer

from service.cli_output import progress_bar, show_answers
from service.demo_concepts import concepts
from service.demo_editing import editing
from service.errors import IsoscopeError
from service.experiments.demo_networks import (
    DEMO_NETWORKS,
    EXPLODING,
    SECOND_SEED,
    train_demo_networks,
    train_exploding,
)
from service.experiments.small_networks import LAST_STEP
from service.settings import Settings
from service.storage.database import Store, reading
from service.training_monitor import GeometryMonitor

QUESTIONS = (
    (
        "Anisotropy by layer and step",
        "select step, layer, anisotropy, anisotropy_not_first from lab.anisotropy_by_layer\n"
        "where model = 'demo-decoder-128' and dataset = 'python-reference' and step in (0, 16, 128, 512) order by all",
    ),
    (
        "Both phases of the intrinsic dimension: the mean over the blocks, beside a Gaussian cloud's",
        "select step, round(avg(twonn), 2) as twonn, round(max(std_error), 2) as largest_std_error,\n"
        "       round(avg(twonn_gaussian), 2) as gaussian_cloud from lab.intrinsic_dimension_by_layer\n"
        "where model = 'demo-decoder-128' and dataset = 'python-reference' and stream = 'residual'\n"
        "group by step order by step",
    ),
    (
        "Decoder against encoder, at the last step",
        "pivot (select model, layer, round(anisotropy, 3) as anisotropy from lab.anisotropy_by_layer\n"
        "       where step = 512 and dataset = 'python-reference') on model using any_value(anisotropy) order by layer",
    ),
    (
        "Trained text against random tokens, at the last step",
        "pivot (select layer, dataset, round(anisotropy, 3) as anisotropy, round(twonn, 2) as twonn\n"
        "       from lab.anisotropy_by_layer join lab.intrinsic_dimension_by_layer\n"
        "       using (model, step, revision, dataset, layer) where model = 'demo-decoder-128' and step = 512)\n"
        "on dataset using any_value(anisotropy) as anisotropy, any_value(twonn) as twonn order by layer",
    ),
    (
        "With and without each text's first token: is it the cloud, or one token a text?",
        "select model, layer, round(anisotropy, 3) as with_first, round(anisotropy_not_first, 3) as without_first,\n"
        "       round(outlier_share, 3) as share_of_top_1_percent, round(norm_max, 1) as norm_max,\n"
        "       round(norm_max_not_first, 1) as norm_max_without_first\n"
        "from lab.anisotropy_by_layer join lab.norms_by_layer using (model, step, revision, dataset, layer)\n"
        "where step = 512 and dataset = 'python-reference' order by all",
    ),
    (
        "Does it learn? Cross-entropy in nats a token",
        "pivot (select model, step, round(loss, 2) as loss from lab.loss_by_checkpoint\n"
        "       where dataset = 'python-reference') on model using any_value(loss) order by step",
    ),
)
SPIKE_QUESTIONS = (
    ("The loss spikes", f"select * from lab.loss_spikes where model = '{EXPLODING}' order by step"),
    (
        "The intrinsic dimension of the last block before each spike, and its excess over the trend",
        "select spike_step, steps_before, round(twonn, 2) as twonn, round(std_error, 2) as std_error,\n"
        "       round(median_before, 2) as median_before, round(excess_in_std_errors, 2) as excess_in_std_errors\n"
        "from lab.intrinsic_dimension_before_loss_spikes\n"
        f"where model = '{EXPLODING}' and layer = 3 and steps_before <= 60 order by spike_step, steps_before desc",
    ),
)
SEED_QUESTIONS = (
    (
        "Is a layer's nearest one in a network from another seed the layer at the same depth? With 95 % intervals",
        "select measure, positions, identified, layers, round(share, 2) as share, round(share_low, 2) as low,\n"
        "       round(share_high, 2) as high, round(chance, 2) as chance from lab.layer_identification\n"
        "where model_a = 'demo-decoder-64' and model_b = 'demo-decoder-64-seed-1' order by all",
    ),
)
IDLE = 8.0  # seconds without a change after which the watch of a training ends
AT_EVERY_STEP = ["anisotropy", "outlier_share", "mean_cosine", "participation_ratio", "twonn"]
AT_EVERY_STEP += ["norm_min", "norm_mean", "norm_max"]
DECODER_STEPS = ["step0", "step16", "step64", "step128", "step256", "step512"]
CONTROL_STEPS = ["step0", "step128", "step512"]  # the control and the encoder need no more
DECODERS = ["demo-decoder-64", "demo-decoder-128"]
COMPARED = ("linear_cka_debiased", "procrustes_angular")
DRIFT_STEPS = ["step512"]
SEPARATED_STEPS = ["step0", "step512"]
FIGURES = ("anisotropy", "intrinsic-dimension", "norms", "loss")


def shape(settings: Settings, folder: Path) -> None:
    """The first experiment on two decoders and an encoder: train, measure, ask, judge the published claims, draw."""
    begun = time.monotonic()
    networks = DEMO_NETWORKS | SECOND_SEED
    typer.echo(
        f"1. Training {len(networks)} networks under {folder / 'networks'}, one of them for another demonstration"
    )
    with progress_bar(quiet=False):
        train_demo_networks(folder / "networks")
    models = [folder / "networks" / name for name in DEMO_NETWORKS]
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    typer.echo(f"2. Measuring every layer of every checkpoint into {settings.store}")
    for model in models:
        steps = DECODER_STEPS if DEMO_NETWORKS[model.name].objective == "causal" else CONTROL_STEPS
        typer.echo("   " + _measured(settings, model, "python-reference", steps, AT_EVERY_STEP))
    for model in models:
        if DEMO_NETWORKS[model.name].objective == "causal":
            typer.echo("   " + _measured(settings, model, "random-tokens", CONTROL_STEPS, ["anisotropy", "twonn"]))
    typer.echo(f"   every other measure of {DECODERS[-1]} at the last step, from the summaries: it is not loaded again")
    largest = folder / "networks" / DECODERS[-1]
    typer.echo("   " + _measured(settings, largest, "python-reference", [f"step{LAST_STEP}"], []))
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    _ask_and_judge(settings)
    _draw(settings, folder / "figures")
    typer.echo(f"This demonstration took {time.monotonic() - begun:.0f} s. Ask your own: isoscope ls views")


def _measured(settings: Settings, model: Path, dataset: str, revisions: list[str], measures: list[str]) -> str:
    from service.experiments.shape import plan

    planned, outcomes = plan(settings, str(model), revisions, dataset, None, {"measures": measures}), []
    if planned.todo:
        from flows.measure_layers import measure_layers

        with progress_bar(quiet=False):
            outcomes = measure_layers(
                str(model), revisions, dataset, measures, store=settings.store_name, lock_wait=settings.lock_wait
            )
    return str(planned.answer(outcomes)["line"])


def _ask_and_judge(settings: Settings) -> None:
    from service.report.claims import judge

    store = Store(settings.store, settings.lock_wait)
    typer.echo("3. Questions in SQL, and their answers")
    show_answers(settings, QUESTIONS)
    typer.echo(
        "\n4. The published claims, judged on these networks (small ones: this says nothing of large networks)\n"
    )
    with reading(store) as connection:
        for claim in judge(connection):
            verdict = {True: "shows", False: "does not show", None: "cannot be judged"}[claim.holds]
            typer.echo(f"- {claim.statement} ({claim.source}): {verdict}. {claim.numbers}")


def _draw(settings: Settings, folder: Path) -> None:
    from service.report.figures import figure, save

    typer.echo("\n5. Figures")
    for kind in FIGURES:
        with reading(Store(settings.store, settings.lock_wait)) as connection:
            drawn = figure(kind, connection, models=list(DEMO_NETWORKS))
        for path in save(drawn, folder, kind):
            typer.echo(f"   {path}")


def explosion(settings: Settings, folder: Path) -> None:
    """A training that is made to explode, watched while it runs: what the intrinsic dimension did before each spike."""
    from service.command_watch import watch

    begun, place = time.monotonic(), folder / "networks" / EXPLODING
    typer.echo(f"Training a network that will explode under {place}, and watching it")
    asked = (place, settings.store_name, GeometryMonitor)
    training = get_context("spawn").Process(target=train_exploding, args=asked, daemon=True)
    training.start()
    while training.is_alive() and not (place / "step0").is_dir():
        time.sleep(0.1)
    watch(place, until_idle=IDLE, every=1.0, measure=["anisotropy", "twonn"])
    training.join()
    if training.exitcode:
        raise IsoscopeError(f"the training under {place} ended with status {training.exitcode}: run the same again")
    watch(place, once=True, measure=["anisotropy", "twonn"])  # what the monitor wrote at its end
    show_answers(settings, SPIKE_QUESTIONS)
    typer.echo(
        f"This demonstration took {time.monotonic() - begun:.0f} s. Does it hold in general? isoscope early-warning"
    )


def layers(settings: Settings, folder: Path) -> None:
    """Do layers live in different spaces? The path of the clouds in the larger decoder, what tells them apart in the smaller,
    and when they part in both."""
    from service.command_drift import drift
    from service.command_separate import separate
    from service.command_study import separability
    from service.report.figures import figure, save

    begun = time.monotonic()
    typer.echo(f"The networks under {folder / 'networks'}")
    with progress_bar(quiet=False):
        train_demo_networks(folder / "networks")
    decoders = [str(folder / "networks" / name) for name in DECODERS]
    typer.echo("\n1. The path of the layers: where their clouds lie, and how their norms grow")
    drift(decoders[-1], DRIFT_STEPS, ["python-reference"], points=60, out=folder / "figures")
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    typer.echo("\n2. Telling layers apart: the whole study, on the smaller decoder and two texts")
    separability(
        decoders[:1],
        SEPARATED_STEPS,
        ["python-reference", "library-docstrings"],
        seeds=3,
        scaling_texts="25,100",
        scaling_lengths="50",
    )
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    typer.echo("\n3. Before and after training, in the larger one")
    separate(decoders[-1], SEPARATED_STEPS, seeds=3)
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    typer.echo("\n4. The smaller one by the published study's own procedure")
    separate(decoders[0], [f"step{LAST_STEP}"], seeds=1, as_released=True)
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    with reading(Store(settings.store, settings.lock_wait)) as connection:
        drawn = figure("separability", connection, DECODERS, ["python-reference"])
    for path in save(drawn, folder / "figures", "separability"):
        typer.echo(f"   {path}")
    typer.echo(f"This demonstration took {time.monotonic() - begun:.0f} s. docs/queries.md has more to ask.")


def comparison(settings: Settings, folder: Path) -> None:
    """Do two networks think alike? A decoder against the larger one, the encoder, and its own size from another seed."""
    from service.command_compare import compare
    from service.report.figures import figure, save

    begun = time.monotonic()
    with progress_bar(quiet=False):
        small, *others = map(str, train_demo_networks(folder / "networks"))
    for other in others:
        compare(small, other, measure=list(COMPARED), permutations=10)
    show_answers(settings, SEED_QUESTIONS)
    with reading(Store(settings.store, settings.lock_wait)) as connection:
        drawn = figure("similarity", connection, models=list(DEMO_NETWORKS | SECOND_SEED))
    for path in save(drawn, folder / "figures", "similarity"):
        typer.echo(f"   {path}")
    typer.echo(f"This demonstration took {time.monotonic() - begun:.0f} s.")


DEMONSTRATIONS: dict[str, Callable[[Settings, Path], None]] = {
    "shape": shape,
    "explosion": explosion,
    "layers": layers,
    "comparison": comparison,
    "concepts": concepts,
    "editing": editing,
}
