"""``isoscope compare``: do two networks think alike?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli_output import progress_bar, show_json, show_table
from service.settings import Settings

NEAREST = """
select step_a, layer_a, layer_b as nearest_layer_b, step_b, round(value, 4) as value, round(null_mean, 4) as null_mean,
       round(z, 1) as z, pairs::integer as places, monotone
from lab.nearest_layer
where model_a = ? and model_b = ? and dataset = ? and without_top = ? and positions = 'all' and measure = ?
  and revision_a in (select unnest(?)) and revision_b in (select unnest(?))
order by step_a, step_b, layer_a
"""
EVERYTHING = """
select * from lab.network_dissimilarity
where model_a = ? and model_b = ? and dataset = ? and without_top = ? and list_contains(?, measure)
  and revision_a in (select unnest(?)) and revision_b in (select unnest(?)) order by all
"""


def compare(
    first: Annotated[str, typer.Argument(help="A hub name, a checkpoint folder, or a folder of checkpoint folders.")],
    second: Annotated[str, typer.Argument(help="The other network; may be the same.")],
    revision_a: Annotated[
        list[str] | None, typer.Option(help="A revision or pattern of the first; its last checkpoint if not given.")
    ] = None,
    revision_b: Annotated[
        list[str] | None, typer.Option(help="A revision or pattern of the second; its last checkpoint if not given.")
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="A built-in name, a file, path:column, or hf:name:config:split.")
    ] = "python-reference",
    measure: Annotated[
        list[str] | None, typer.Option(help="A measure of pairs; the usual ones if not given. Repeatable.")
    ] = None,
    permutations: Annotated[int, typer.Option(min=0, help="Random pairings that each value is set against.")] = 20,
    without_top: Annotated[int, typer.Option(min=0, max=3, help="Principal components taken out of both clouds.")] = 0,
    window: Annotated[int | None, typer.Option(min=8, help="Characters in a window of text.")] = None,
    sample: Annotated[int | None, typer.Option(min=16, help="States kept of each layer.")] = None,
    name_a: Annotated[str | None, typer.Option(help="What to call the first model in the store, if local.")] = None,
    name_b: Annotated[str | None, typer.Option(help="What to call the second model in the store, if local.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, cpu or auto.")] = None,
    dtype: Annotated[
        str, typer.Option(help="float32, float16, bfloat16, or auto: as the weights are stored.")
    ] = "auto",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows in a batch.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that a model's repository brings.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Compare all layers of two networks at the places of the texts where both end a token, each value with its null."""
    from service.experiments.comparison_plan import asked_comparison, asked_pairs, plan
    from service.storage import answers
    from service.storage.database import Store

    settings = Settings()
    asked = asked_comparison(measure, permutations, without_top)
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
        show_table(*answers.as_rows(answers.ask(store, NEAREST, [*subject, name, *revisions])))


def _first_revision(pair: Any) -> str:
    return str(pair.first.checkpoint.revision)


def _second_revision(pair: Any) -> str:
    return str(pair.second.checkpoint.revision)
