"""``isoscope compare``: do two networks think alike?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from service import cli_options as options
from service.cli_output import progress_bar, show_json, show_table
from service.settings import Settings

# lab.nearest_layer has the null of whole texts where there are both
NEAREST = """
select n.step_a, n.layer_a, n.layer_b as nearest_layer_b, n.step_b, round(n.value, 4) as value,
       round(f.null_mean, 4) as null_mean, round(f.z, 1) as z, n.pairs::integer as places, n.monotone
from lab.nearest_layer n
join lab.pair_metrics f using (model_a, revision_a, layer_a, stream_a, model_b, revision_b, layer_b, stream_b, dataset,
                               measure, positions, without_top)
where n.model_a = ? and n.model_b = ? and n.dataset = ? and n.without_top = ? and n.positions = 'all' and n.measure = ?
  and n.revision_a in (select unnest(?)) and n.revision_b in (select unnest(?)) and f.permuted = ?
qualify f.version = max(f.version) over ()
order by n.step_a, n.step_b, n.layer_a
"""
EVERYTHING = """
select * from lab.network_dissimilarity
where model_a = ? and model_b = ? and dataset = ? and without_top = ? and list_contains(?, measure)
  and revision_a in (select unnest(?)) and revision_b in (select unnest(?)) order by all
"""


def compare(
    first: options.Model,
    second: options.OtherModel,
    revision: options.RevisionsOfBoth = None,
    revision_a: options.RevisionsOfFirst = None,
    revision_b: options.RevisionsOfSecond = None,
    dataset: options.Dataset = "python-reference",
    measure: Annotated[
        list[str] | None, typer.Option(help="A measure of pairs; the usual ones if not given. Repeatable.")
    ] = None,
    permutations: Annotated[int, typer.Option(min=0, help="Random pairings that each value is set against.")] = 20,
    permute: Annotated[
        Literal["items", "points"],
        typer.Option(help="Random pairings of whole texts (or images), or of single points."),
    ] = "items",
    without_top: Annotated[int, typer.Option(min=0, max=3, help="Principal components taken out of both clouds.")] = 0,
    window: options.Window = None,
    sample: options.Sample = None,
    name_a: options.NameOfFirst = None,
    name_b: options.NameOfSecond = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    batch_size: options.BatchSize = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Compare all layers of two networks at the places of the texts where both end a token, each value with its null."""
    from service.experiments.comparison_plan import asked_comparison, asked_pairs, plan
    from service.storage import answers
    from service.storage.database import Store

    settings = Settings()
    revision_a, revision_b = revision_a or revision, revision_b or revision
    asked = asked_comparison(measure, permutations, without_top, permute)
    with progress_bar(quiet=json):
        pairs = asked_pairs(first, second, revision_a, revision_b, name_a, name_b)
        planned = plan(settings, pairs, dataset, window, sample, asked)
    outcomes: list[Any] = []
    if planned.todo:
        from flows.compare_networks import compare_networks

        with progress_bar(quiet=json):
            outcomes = compare_networks(
                first,
                second,
                revision_a,
                revision_b,
                dataset,
                measure,
                permutations,
                without_top,
                permute,
                window=window,
                sample=sample,
                name_first=name_a,
                name_second=name_b,
                device=device or settings.device,
                dtype=dtype,
                batch_size=batch_size,
                trust_remote_code=trust_remote_code,
                store=settings.store_name,
                lock_wait=settings.lock_wait,
            )
    answer = planned.answer(outcomes)
    store = Store(settings.store, settings.lock_wait)
    subject: list[Any] = [answer["first"], answer["second"], answer["dataset"], without_top]
    revisions = [sorted({end(pair) for pair in pairs}) for end in (_first_revision, _second_revision)]
    if json:
        rows = answers.ask(store, EVERYTHING, [*subject, list(asked.measures), *revisions]).to_pylist()
        show_json(answer | {"rows_of": rows})
        return
    typer.echo(answer["line"])
    for warning in answer["warnings"]:
        typer.echo(f"beware: {warning}", err=True)
    for name in asked.measures:
        typer.echo(f"\nnearest layer by {name}")
        show_table(*answers.as_rows(answers.ask(store, NEAREST, [*subject, name, *revisions, permute])))


def _first_revision(pair: Any) -> str:
    return str(pair.first.checkpoint.revision)


def _second_revision(pair: Any) -> str:
    return str(pair.second.checkpoint.revision)
