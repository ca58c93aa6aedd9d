"""``isoscope probe``: where in a network does a concept sit?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from service import cli_options as options
from service.cli_options import layer_numbers
from service.cli_output import progress_bar, show_json, show_table
from service.settings import Settings

BY_LAYER = """
select coalesce(model, ensemble) as network, step, concept, layer, round(accuracy, 4) as accuracy,
       round(accuracy_std, 4) as std, round(auroc, 4) as auroc, round(accuracy - selectivity, 4) as control,
       round(selectivity, 4) as selectivity, round(chance, 4) as chance, round(share_of_weights_50, 3) as half_of_weights,
       round(share_of_weights_90, 3) as nine_tenths, seeds, members
{asked} and penalty = 'l2' and labels = 'real' order by concept, model nulls last, step, layer
"""
ALONG_L1 = """
select coalesce(model, ensemble) as network, step, concept, layer, round(strength, 4) as strength, round(nonzero, 1) as nonzero,
       round(accuracy, 4) as accuracy, round(selectivity, 4) as selectivity
{asked} and penalty = 'l1' and labels = 'real' order by concept, model nulls last, step, layer, strength desc
"""
EVERYTHING = "select * {asked} order by all"
OWN_AND_WHOLE = """where ensemble = $ensemble and list_contains($concepts, concept_id)
  and positions = $positions and folds = $folds
  and (list_contains($revisions, revision) or (model is null and list_contains($steps, coalesce(step, -1))))"""
PROBES = f"from lab.concept_probes {OWN_AND_WHOLE}"
LOCATION = f"from lab.concept_location {OWN_AND_WHOLE}"
AGREEMENT = """from lab.concept_agreement where (ensemble = $ensemble or list_contains($revisions, revision))
  and list_contains($concepts, concept_id) and positions = $positions and folds = $folds
  and list_contains($steps, coalesce(step, -1))"""
WHERE = """
select concept, coalesce(model, ensemble) || coalesce(' step' || step, '') as network, members, best_layer, best_accuracy,
       centroid, relative_centroid, coalesce(centroid_std, 0) as spread
{asked} order by concept, model nulls last, step
"""


def probe(
    models: Annotated[list[str], typer.Argument(help="Hub names or folders; several are an ensemble's members.")],
    concept: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FORM or FORM: column:even, classes:0,6, json:FILE, 'token: the', regex:[0-9]+ or contains:PATTERN. "
            "Repeatable."
        ),
    ] = None,
    revision: options.Revisions = None,
    dataset: options.Dataset = "python-reference",
    ensemble: Annotated[str | None, typer.Option(help="What to call the ensemble; its models' names joined.")] = None,
    penalty: Annotated[Literal["l2", "l1", "both"], typer.Option(help="l2, l1 along a path, or both.")] = "l2",
    seeds: options.Seeds = 5,
    folds: Annotated[int, typer.Option(min=2, help="One part in so many of the items is held out, whole.")] = 5,
    positions: Annotated[
        Literal["all", "not-first", "not-special"], typer.Option(help="Which tokens are probed.")
    ] = "all",
    layers: options.Layers = None,
    texts: options.Texts = None,
    length: options.Length = None,
    tokens: options.KeptTokens = "all",
    window: options.Window = None,
    sample: options.Sample = None,
    name: Annotated[
        list[str] | None, typer.Option(help="What to call a local model in the store; once for each model.")
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    batch_size: options.BatchSize = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Fit linear probes of a concept at every layer, whole items held out, beside a control task of shuffled labels."""
    from service.experiments.probe_plan import asked_probing, plan
    from service.experiments.probe_request import Asked, asked_penalties
    from service.networks.datasets import Choice

    settings, chosen = Settings(), layer_numbers(layers)
    asked = Asked(asked_penalties(penalty), seeds, folds, positions, tuple(chosen) if chosen else None)
    with progress_bar(quiet=json):
        choice = Choice(texts, length, tokens == "last")
        probing = asked_probing(
            models, concept or [], revision, name, dataset, choice, window, sample, asked, ensemble
        )  # fmt: skip
        planned = plan(settings, probing)
    outcomes: list[Any] = []
    if planned.todo:
        from flows.probe_concepts import probe_concepts

        with progress_bar(quiet=json):
            outcomes = probe_concepts(
                models,
                concept or [],
                revisions=revision,
                dataset=dataset,
                ensemble=ensemble,
                penalty=penalty,
                seeds=seeds,
                folds=folds,
                positions=positions,
                layers=chosen,
                texts=texts,
                length=length,
                last=tokens == "last",
                window=window,
                sample=sample,
                names=name,
                device=device or settings.device,
                dtype=dtype,
                batch_size=batch_size,
                trust_remote_code=trust_remote_code,
                store=settings.store_name,
                lock_wait=settings.lock_wait,
            )
    given = {
        "ensemble": probing.ensemble,
        "concepts": [one.concept.concept_id for one in probing.concepts],
        "positions": positions,
        "folds": folds,
        "revisions": [source.checkpoint.revision for source in probing.sources],
        "steps": [-1 if source.checkpoint.step is None else source.checkpoint.step for source in probing.sources],
    }
    if json:
        parts = {"probes": PROBES, "location": LOCATION, "agreement": AGREEMENT}
        rows = {title: _answer(settings, EVERYTHING, part, given).to_pylist() for title, part in parts.items()}
        show_json({"ensemble": probing.ensemble, "dataset": probing.items.dataset.name, "done": planned.todo, **rows})
        return
    typer.echo(planned.line(outcomes))
    _show(settings, asked.penalties, given)


def _show(settings: Settings, penalties: tuple[str, ...], given: dict[str, Any]) -> None:
    """A table by layer for each penalty, and a line on where each concept sits."""
    from service.storage import answers

    for penalty, query in (("l2", BY_LAYER), ("l1", ALONG_L1)):
        if penalty in penalties:
            show_table(*answers.as_rows(_answer(settings, query, PROBES, given)))
    for row in _answer(settings, WHERE, LOCATION, given).to_pylist() if "l2" in penalties else ():
        typer.echo(_line(row))


def _line(row: dict[str, Any]) -> str:
    """``even in tiny step64: best at layer 2 (accuracy 0.93), centred at layer 1.8 ± 0.1 (0.45 of the depth)``."""
    best = f"best at layer {row['best_layer']:.3g} (accuracy {row['best_accuracy']:.3f})"
    place = "no layer is selective"
    if row["centroid"] is not None:
        place = f"centred at layer {row['centroid']:.2f} ± {row['spread']:.2f} ({row['relative_centroid']:.2f} of the depth)"
    members = f", {row['members']} members" if row["members"] > 1 else ""
    return f"{row['concept']} in {row['network']}{members}: {best}, {place}"


def _answer(settings: Settings, query: str, asked: str, given: dict[str, Any]) -> Any:
    from service.storage import answers
    from service.storage.database import Store

    named = {name: value for name, value in given.items() if f"${name}" in asked}
    return answers.ask(Store(settings.store, settings.lock_wait), query.format(asked=asked), named)
