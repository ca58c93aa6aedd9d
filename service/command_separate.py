"""``isoscope separate``: can a single state's layer be told?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service import cli_options as options
from service.cli_options import dimension_numbers, quoted
from service.cli_output import progress_bar, show_json, show_table
from service.settings import Settings

ACCURACY = """
select step, classifier, procedure, round(accuracy, 4) as accuracy, round(accuracy_low, 4) as low,
       round(accuracy_high, 4) as high, round(within_one, 4) as within_one, round(chance, 4) as chance, seeds,
       train_texts::integer as train_texts, test_texts::integer as test_texts, n_tested::integer as n_tested
from lab.layer_separability
where model = ? and dataset = ? and from_layer = ? and layer is null order by step, procedure, classifier
"""
BY_LAYER = """
pivot (select step, classifier, procedure, layer, round(accuracy, 3) as accuracy from lab.layer_separability
       where model = {model} and dataset = {dataset} and from_layer = {first} and layer is not null)
on layer using any_value(accuracy) order by step, procedure, classifier
"""
MASKED = """
select step, condition, round(accuracy, 4) as accuracy, round(accuracy_low, 4) as low, round(accuracy_high, 4) as high
from lab.separability_ablations
where model = ? and dataset = ? and from_layer = ? and layer is null and question = 'masking' and amount = ?
  and (condition like ? or condition like 'random dimensions, %') order by step, condition
"""
EVERYTHING = "select * from lab.layer_separability where model = ? and dataset = ? and from_layer = ? order by all"


def separate(
    model: options.Model,
    revision: options.Revisions = None,
    dataset: options.Dataset = "python-reference",
    classifier: Annotated[
        list[str] | None, typer.Option(help="logistic, tree, centroid or lda; logistic if not given. Repeatable.")
    ] = None,
    texts: options.Texts = None,
    length: options.Length = None,
    tokens: options.KeptTokens = "all",
    embedding: Annotated[bool, typer.Option(help="Whether the input embedding, layer 0, is one of the layers.")] = True,
    seeds: options.Seeds = 5,
    mask: Annotated[str | None, typer.Option(help="Dimensions to do without, such as 3,17,40.")] = None,
    as_released: options.AskedAsReleased = False,
    window: options.Window = None,
    sample: options.Sample = None,
    name: options.Name = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    batch_size: options.BatchSize = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Tell from a single state which layer it came from; whole texts are held out."""
    from service.experiments.separability_study import Questions, asked_inquiries, plan
    from service.networks.checkpoints import find_checkpoints
    from service.networks.datasets import Choice, open_dataset
    from service.storage import answers
    from service.storage.database import Store

    settings, masked, first = Settings(), dimension_numbers(mask), 0 if embedding else 1
    asked = asked_inquiries(classifier or ["logistic"], first, seeds, as_released, masked or [])
    choice = Choice(texts, length, tokens == "last")
    with progress_bar(quiet=json):
        sources = find_checkpoints(model, revision or [], name)
        parts = [Questions(source, dataset, choice, asked) for source in sources]
        planned = plan(settings, parts, window, sample)
    given: dict[str, Any] = {
        "model": model,
        "revisions": revision,
        "dataset": dataset,
        "classifiers": classifier,
        "texts": texts,
        "length": length,
        "last": tokens == "last",
        "from_layer": first,
        "seeds": seeds,
        "mask": masked,
        "as_released": as_released,
        "window": window,
        "sample": sample,
        "name": name,
        "device": device or settings.device,
        "dtype": dtype,
        "batch_size": batch_size,
        "trust_remote_code": trust_remote_code,
    }
    outcomes: list[Any] = []
    if planned.todo:
        from flows.separate_layers import separate_layers

        with progress_bar(quiet=json):
            outcomes = separate_layers(**given, store=settings.store_name, lock_wait=settings.lock_wait)
    store = Store(settings.store, settings.lock_wait)
    key = open_dataset(dataset, window=window, sample=sample, choice=choice).dataset.name
    subject: list[Any] = [planned.models[0], key, first]

    def rows(query: str, *more: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
        return answers.as_rows(answers.ask(store, query, [*subject, *more]))

    if json:
        columns, found = rows(EVERYTHING)
        show_json([dict(zip(columns, row, strict=True)) for row in found])
        return
    typer.echo(planned.line(outcomes))
    show_table(*rows(ACCURACY))
    typer.echo("\naccuracy by layer")
    # a pivot takes no parameters
    by_layer = BY_LAYER.format(model=quoted(planned.models[0]), dataset=quoted(key), first=first)
    show_table(*answers.as_rows(answers.ask(store, by_layer)))
    if masked:
        typer.echo(f"\nwithout dimensions {mask}")
        show_table(*rows(MASKED, len(masked), f"dimensions {','.join(map(str, masked))}, %"))
