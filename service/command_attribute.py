"""``isoscope attribute``: which training items made a concept, and does it go where they go?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service import cli_options as options
from service.cli_output import progress_bar, show_json, show_table
from service.settings import Settings

RANKED = """
select side, rank, train_item, round(score, 5) as score, dimensions, members,
       case when preview like 'data:%' then null else preview end as preview
from lab.attributions where list_contains($identities, attribution_id) and method = $method and target_item is null
  and rank <= $shown order by side desc, rank
"""
QUALITY = """
select method, quality, round(value, 3) as value, round(low, 3) as low, round(high, 3) as high, n, note
from lab.attribution_quality where list_contains($identities, attribution_id) order by quality, value desc
"""
REMOVED = """
select removal, removed, networks, round(accuracy, 4) as accuracy, round(accuracy_low, 4) as low,
       round(accuracy_high, 4) as high, round(accuracy_change, 4) as change, round(untrained_accuracy, 3) as untrained,
       round(chance, 3) as chance, round(share_of_weights_50, 3) as half_of_weights, round(centroid, 2) as centroid,
       round(centroid_change, 2) as centroid_change, round(network_accuracy, 4) as network_accuracy, moved, at_chance, diffuse
from lab.concept_counterfactuals where attribution_id = $attribution and method = $ranking and layer is null order by removal
= 'none' desc, removed, removal
"""
EVERYTHING = {
    "attributions": "select * from lab.attributions where list_contains($identities, attribution_id) order by all",
    "quality": "select * from lab.attribution_quality where list_contains($identities, attribution_id) order by all",
}
COUNTERFACTUALS = (
    "select * from lab.concept_counterfactuals where attribution_id = $attribution and method = $ranking order by all"
)
SHOWN = 5


def attribute(
    models: Annotated[list[str], typer.Argument(help="Hub names or folders; several are an ensemble's members.")],
    concept: Annotated[
        str | None,
        typer.Option(
            help="NAME=FORM or FORM: column:even, classes:0,6, json:FILE or contains:PATTERN; for --output probe."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="What the networks were trained on; as they say themselves if not given.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Items that are probed, and whose answers are attributed.")
    ] = None,
    revision: options.Revisions = None,
    ensemble: Annotated[str | None, typer.Option(help="What to call the ensemble.")] = None,
    output: Annotated[str, typer.Option(help="What is attributed: probe, class or next-token.")] = "probe",
    layer: Annotated[
        int | None, typer.Option(min=0, help="Whose probe is attributed; the layer of the most selective if not given.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="trak, trak-kernel, trak-released, gradient-cosine, representation, random; all but the third. Repeatable."
        ),
    ] = None,
    dimensions: Annotated[int | None, typer.Option(min=1, help="Dimensions that gradients are projected to.")] = None,
    ridge: Annotated[
        float, typer.Option(min=0, help="Share of its mean eigenvalue added to the kernel; 0 as released.")
    ] = 0.1,
    keep: Annotated[float | None, typer.Option(help="Share of TRAK's scores that soft-thresholding leaves.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Items recorded each way.")] = 10,
    target_items: Annotated[int, typer.Option(min=1, help="The most targets that are read.")] = 200,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train an ensemble, and again without what --remove says.")
    ] = False,
    members: Annotated[int, typer.Option(min=1, help="Networks that --retrain trains each time.")] = 3,
    remove: Annotated[str | None, typer.Option(help="What is taken away, such as top:50 or top:5%,10%.")] = None,
    controls: Annotated[str, typer.Option(help="What else is taken away.")] = "random,bottom,exemplars,class-matched",
    halves: Annotated[int, typer.Option(min=0, help="Networks trained on halves, to judge by.")] = 0,
    mislabel: Annotated[float | None, typer.Option(help="Share of wrong labels that are to be found.")] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Take away by the mean score, not by the scores' mean size.")
    ] = False,
    as_released: options.AskedAsReleased = False,
    sample: options.Sample = None,
    seeds: options.Seeds = 3,
    folds: Annotated[int, typer.Option(min=2, help="One part in so many of the targets is held out from a probe.")] = 5,
    networks: Annotated[Path, typer.Option(help="Where networks are trained and kept.")] = Path("isoscope-networks"),
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Put a concept down to training items by TRAK and cheaper methods; take these away, train again, and probe again."""
    from service.experiments.attribution_plan import is_answered
    from service.experiments.attribution_question import Wanted, asked_methods
    from service.experiments.attribution_request import Demands, asked_attribution
    from service.experiments.attribution_study import Study
    from service.experiments.probe_request import Asked
    from service.experiments.progress import tell_waiting
    from service.experiments.runs import no_network
    from service.storage.database import open_store

    settings = Settings()
    taken = tuple(one.strip() for one in controls.split(",") if one.strip())
    by = asked_methods(method, as_released)
    wanted = Wanted(output, by, dimensions, ridge, keep, top, target_items)  # type: ignore[arg-type]
    demands = Demands(remove, taken, members if retrain else 0, halves, mislabel, signed, as_released)
    with progress_bar(quiet=json):
        question = asked_attribution(
            models, concept, dataset, targets, revision, ensemble, layer, wanted, Asked(seeds=seeds, folds=folds), demands,
            networks, sample
        )  # fmt: skip
        study = Study(question, open_store(settings.store, settings.lock_wait, tell_waiting), no_network)
        if not is_answered(study):
            from flows.attribute_concepts import attribute_concepts

            attribute_concepts(
                models,
                concept,
                dataset,
                targets,
                revisions=revision,
                ensemble=ensemble,
                output=output,
                layer=layer,
                methods=method,
                dimensions=dimensions,
                ridge=ridge,
                keep=keep,
                top=top,
                target_items=target_items,
                remove=remove,
                controls=list(taken),
                members=demands.members,
                halves=halves,
                mislabel=mislabel,
                signed=signed,
                as_released=as_released,
                sample=sample,
                seeds=seeds,
                folds=folds,
                networks=str(networks),
                device=device or settings.device,
                dtype=dtype,
                trust_remote_code=trust_remote_code,
                store=settings.store_name,
                lock_wait=settings.lock_wait,
            )
    _show(study, json)


def _show(study: Any, json: bool) -> None:
    """Who is responsible, how far that can be trusted, and what is left of the concept without them."""
    from service.experiments.attribution_plan import members_of
    from service.storage.answers import as_rows, ask

    question = study.question
    sources = members_of(question)
    layer = study.layer(sources)
    attributer = study.attributer(sources, layer)
    identities = {"identities": [attributer.identity(method) for method in question.wanted.methods]}
    abouts = [{"attribution": attributer.identity(one.method), "ranking": one.name} for one in question.rankings]
    if json:
        found = {title: ask(study.store, query, identities).to_pylist() for title, query in EVERYTHING.items()}
        found["counterfactuals"] = [row for one in abouts for row in ask(study.store, COUNTERFACTUALS, one).to_pylist()]
        show_json({"ensemble": question.name, "layer": layer, **found})
        return
    what = f"{question.concept.concept.name} at layer {layer}" if question.concept else question.wanted.output
    typer.echo(
        f"{question.name}: {what}, {len(question.targets.ids)} targets of {question.targets.items.dataset.name} put down to "
        f"{len(question.train.ids)} items of {question.train.items.dataset.name}"
    )
    first = question.wanted.methods[0]
    typer.echo(f"by {first}: for the mean target (most), against it (least), and whatever the sign (either)")
    show_table(*as_rows(ask(study.store, RANKED, identities | {"shown": SHOWN, "method": first})))
    quality = as_rows(ask(study.store, QUALITY, identities))
    if quality[1]:
        typer.echo("\nhow far these can be trusted")
        show_table(*quality)
    for about in abouts:
        by = "" if about is abouts[0] else f", by {about['ranking']}"
        typer.echo(
            f"\nwhat is left of the concept in networks trained without these items, and without as many others{by}"
        )
        show_table(*as_rows(ask(study.store, REMOVED, about)))
