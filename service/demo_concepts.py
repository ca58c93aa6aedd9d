"""The demonstration of concepts: which handwritten digits taught a network what a loop is, and what it knows without them."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from service.cli_output import progress_bar, show_answers
from service.settings import Settings
from service.storage.database import Store, reading

NETWORK = "demo-digits"
LOOP, EVEN = "loop=classes:0,6,8,9", "even=classes:0,2,4,6,8"
TARGETS = "digits:test:pooled"
QUESTIONS = (
    (
        "Where do the concepts sit? Accuracy of a linear probe, layer by layer, less that on shuffled labels",
        "pivot (select concept, layer, round(accuracy, 3) as accuracy, round(selectivity, 3) as selectivity\n"
        "       from lab.concept_probes where ensemble = 'demo-digits' and labels = 'real' and penalty = 'l2')\n"
        "on concept using any_value(accuracy) as accuracy, any_value(selectivity) as selectivity order by layer",
    ),
    (
        "The removal curve: what is left of the loop without the digits that it is owed to, and without as many others",
        "select removal, removed, networks, round(accuracy, 3) as accuracy, round(accuracy_low, 3) as low,\n"
        "       round(accuracy_high, 3) as high, round(untrained_accuracy, 3) as untrained, round(chance, 3) as chance,\n"
        "       round(centroid, 2) as centroid, round(network_accuracy, 3) as network_accuracy\n"
        "from lab.concept_counterfactuals where ensemble = 'demo-digits-seeds' and layer is null order by removed, removal",
    ),
    (
        "Does it move, fall to chance, is it spread over other digits too? By 95 % intervals over networks, where they decide",
        "select removal, removed, moved, round(centroid_change_low, 2) as from_layers,\n"
        "       round(centroid_change_high, 2) as to_layers, at_chance, round(above_floor_low, 3) as least_above_floor,\n"
        "       diffuse, round(against_random_low, 3) as from_random, round(against_random_high, 3) as to_random\n"
        "from lab.concept_counterfactuals where ensemble = 'demo-digits-seeds' and layer is null order by removed, removal",
    ),
)


def concepts(settings: Settings, folder: Path) -> None:
    """The whole chain on scikit-learn's digits: train, probe, attribute, take away, train again, probe again."""
    from service.command_attribute import attribute
    from service.command_probe import probe
    from service.experiments.demo_networks import train_demo_classifier
    from service.report.figures import figure, save

    begun, place = time.monotonic(), folder / "networks" / NETWORK
    typer.echo(f"1. A vision transformer of four patches, trained on 1,437 digits under {place}")
    with progress_bar(quiet=False):
        train_demo_classifier(place)
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    typer.echo("\n2. Two concepts, probed at every layer on digits that it was not trained on")
    probe([str(place)], [LOOP, EVEN], dataset=TARGETS, seeds=3)
    typer.echo("\n3. Which training digits the loop is owed to; networks trained again without them")
    attribute(
        [str(place)],
        LOOP,
        targets=TARGETS,
        ensemble=f"{NETWORK}-seeds",
        retrain=True,
        members=2,
        remove="top:5%,25%",
        controls="random,exemplars,class-matched",
        halves=4,
        mislabel=0.1,
        seeds=2,
        networks=folder / "retrained",
    )
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    show_answers(settings, QUESTIONS)
    for kind, names in (("concept", [NETWORK]), ("removal", [f"{NETWORK}-seeds"])):
        with reading(Store(settings.store, settings.lock_wait)) as connection:
            drawn = figure(kind, connection, models=names)
        for path in save(drawn, folder / "figures", kind):
            typer.echo(f"   {path}")
    typer.echo(f"This demonstration took {time.monotonic() - begun:.0f} s.")
