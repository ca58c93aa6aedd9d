"""``isoscope study``: the whole of a published study by one command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from service import cli_options as options
from service.cli_options import numbers, quoted
from service.cli_output import found, progress_bar, show_answers, show_json
from service.settings import Settings

study = typer.Typer(help="Run the whole of a published study.", no_args_is_help=True)

# {model} and {dataset} stand for names in quotes
SEPARABILITY = (
    (
        "1. How many dimensions make half of the decision for a layer, and what does masking the top ones cost?",
        "select s.layer, s.dimensions_for_half, round(s.gaussian_for_half, 1) as gaussian_line,\n"
        "       round(s.largest_contribution, 1) as top_dimension_per_cent, a.amount::integer as masked,\n"
        "       round(max(a.accuracy) filter (a.condition = 'top dimensions, mean'), 3) as without_top,\n"
        "       round(max(a.accuracy) filter (a.condition = 'random dimensions, mean'), 3) as without_random\n"
        "from lab.contribution_shares s join lab.separability_ablations a using (model, revision, dataset, procedure,\n"
        "     from_layer, layer)\n"
        "where model = {model} and dataset = {dataset} and procedure = 'corrected' and from_layer = 0\n"
        "  and a.amount = round(0.1 * s.width) group by all order by layer",
    ),
    (
        "2. Does what was learned on one text hold on another?",
        "select dataset as trained_on, tested_on, condition, round(accuracy, 3) as accuracy, round(accuracy_low, 3) as low,\n"
        "       round(accuracy_high, 3) as high, round(chance, 3) as chance\n"
        "from lab.separability_transfer where model = {model} and layer is null order by all",
    ),
    (
        "3. Are they the same dimensions, whatever texts are held out or drawn?",
        "select across, top, round(avg(overlap), 3) as overlap, round(min(overlap_low), 3) as low,\n"
        "       round(max(overlap_high), 3) as high, round(max(chance), 3) as chance\n"
        "from lab.separability_stability where model = {model} and dataset = {dataset} and from_layer = 0\n"
        "group by all order by across, top",
    ),
    (
        "4. Is it only the norm?",
        "select condition, procedure, round(accuracy, 3) as accuracy, round(accuracy_low, 3) as low,\n"
        "       round(accuracy_high, 3) as high, round(chance, 3) as chance\n"
        "from lab.separability_ablations where model = {model} and dataset = {dataset} and from_layer = 0\n"
        "  and question = 'norm' and layer is null order by procedure, accuracy desc",
    ),
    (
        "5. Accuracy against texts, tokens and the size of the network",
        "select model, parameters, width, length as tokens, texts, round(accuracy, 3) as accuracy,\n"
        "       round(accuracy_low, 3) as low, round(accuracy_high, 3) as high, round(chance, 3) as chance\n"
        "from lab.separability_scaling where layer is null order by parameters, model, tokens, texts",
    ),
    (
        "6. How much of the space does the classifier use, and when during training do the layers part?",
        "select s.step, round(s.accuracy, 3) as accuracy, round(r.rank, 1) as weight_rank,\n"
        "       round(r.effective_rank, 2) as effective_rank, p.amount::integer as directions,\n"
        "       round(p.accuracy, 3) as accuracy_on_them\n"
        "from lab.layer_separability s left join lab.separability_weight_rank r using (model, revision, dataset, from_layer)\n"
        "left join lab.separability_ablations p on (p.model, p.revision, p.dataset, p.from_layer) =\n"
        "     (s.model, s.revision, s.dataset, s.from_layer) and p.question = 'projection' and p.layer is null\n"
        "where s.model = {model} and s.dataset = {dataset} and s.from_layer = 0 and s.layer is null\n"
        "  and s.classifier = 'logistic' and s.procedure = 'corrected' order by s.step, p.amount",
    ),
)


def questions(model: str, dataset: str) -> Iterator[tuple[str, str]]:
    """Each of the six questions with its SQL about a model and a dataset."""
    names = {"model": quoted(model), "dataset": quoted(dataset)}
    return ((title, query.format(**names)) for title, query in SEPARABILITY)


@study.command()
def separability(
    model: Annotated[list[str], typer.Argument(help="Hub names or folders; sizes are compared over all of them.")],
    revision: options.Revisions = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Repeat for transfer; the first is asked every question. Python's texts if not given."),
    ] = None,
    texts: options.Texts = None,
    length: options.Length = None,
    tokens: options.KeptTokens = "all",
    seeds: options.Seeds = 5,
    as_released: options.AskedAsReleased = False,
    scaling_texts: Annotated[str | None, typer.Option(help="Numbers of texts of the grid, such as 50,100,200.")] = None,
    scaling_lengths: Annotated[str | None, typer.Option(help="Tokens of each text in the grid: 10,30,100.")] = None,
    window: options.Window = None,
    sample: options.Sample = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    batch_size: options.BatchSize = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Do layers live in different spaces? Contributions, transfer, stability, norms, scaling, rank, and training."""
    from service.experiments.separability_study import asked_study, plan
    from service.networks.checkpoints import find_checkpoints
    from service.networks.datasets import open_dataset

    settings = Settings()
    grid = numbers("--scaling-texts", scaling_texts), numbers("--scaling-lengths", scaling_lengths)
    asked = asked_study(dataset, texts, length, tokens == "last", 0, seeds, as_released, *grid, None)
    with progress_bar(quiet=json):
        parts = [part for one in model for part in asked.parts(find_checkpoints(one, revision or []))]
        planned = plan(settings, parts, window, sample)
    given: dict[str, Any] = {
        "models": model,
        "revisions": revision,
        "datasets": list(asked.datasets),
        "texts": texts,
        "length": length,
        "last": tokens == "last",
        "seeds": seeds,
        "as_released": as_released,
        "scaling_texts": grid[0],
        "scaling_lengths": grid[1],
        "window": window,
        "sample": sample,
        "device": device or settings.device,
        "dtype": dtype,
        "batch_size": batch_size,
        "trust_remote_code": trust_remote_code,
    }
    outcomes: list[Any] = []
    if planned.todo:
        from flows.separate_layers import separability_study

        with progress_bar(quiet=json):
            outcomes = separability_study(**given, store=settings.store_name, lock_wait=settings.lock_wait)
    key = open_dataset(asked.datasets[0], window=window, sample=sample, choice=asked.choice).dataset.name
    if json:
        show_json({one: found(settings, questions(one, key)) for one in planned.models})
        return
    typer.echo(planned.line(outcomes))
    for one in planned.models:
        show_questions(settings, one, key)


def show_questions(settings: Settings, model: str, dataset: str) -> None:
    """Every question's SQL and its answer."""
    show_answers(settings, questions(model, dataset))
