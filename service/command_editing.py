"""``isoscope study editing``: what is lost against what is gained, by method and by its constraint."""

from __future__ import annotations

from typing import Annotated

import typer

from service import cli_options as options
from service.cli_options import quoted
from service.cli_output import found, progress_bar, show_answers, show_json
from service.command_edit import NO_LINE
from service.settings import Settings

# {model} and {datasets} stand for a name and a list of names in quotes
QUESTIONS = (
    (
        "1. Robustness lost against success, by method and constraint: the means over tasks and draws, with intervals over\n"
        "   all draws, and of the change over tasks alone: few of them say little",
        "select method, layer, limited_to, edits, round(success, 3) as success, round(success_low, 3) as low,\n"
        "       round(success_high, 3) as high, round(locality, 3) as locality, round(clean_change, 4) as clean_change,\n"
        "       round(robustness_change, 4) as robustness_change, round(robustness_change_low, 4) as change_low,\n"
        "       round(robustness_change_high, 4) as change_high, round(robustness_change_tasks_low, 4) as tasks_low,\n"
        "       round(robustness_change_tasks_high, 4) as tasks_high, round(effective_robustness_change, 4) as effective,\n"
        "       on_front from lab.edit_tradeoff where model = {model} and dataset in ({datasets}) and task is null\n"
        "order by success desc, robustness_change desc",
    ),
    (
        "2. The front: nothing else has both more success and less loss",
        "select method, layer, limited_to, round(success, 3) as success,\n"
        "       round(robustness_change, 4) as robustness_change from lab.edit_pareto\n"
        "where model = {model} and dataset in ({datasets}) and task is null order by success desc",
    ),
    (
        "3. Is an interpolation monotone along alpha? Steps that go the wrong way, and those beyond sampling noise",
        "select method, layer, count(*) as curves, sum(success_steps)::integer as steps,\n"
        "       sum(success_falls)::integer as success_falls,\n"
        "       sum(success_falls_beyond_noise)::integer as falls_beyond_noise,\n"
        "       sum(robustness_rises)::integer as robustness_rises,\n"
        "       sum(robustness_rises_beyond_noise)::integer as rises_beyond_noise\n"
        "from lab.edit_alpha where model = {model} and dataset in ({datasets}) group by all order by all",
    ),
    (
        "4. Which layers moved? Debiased CKA of each layer with itself before (1: as it was): the mean over constraints and\n"
        "   draws, with intervals over tasks, and the least of a constraint and task",
        "with by_task as (\n"
        "  select method, depth, layer_name, task, avg(mean) as cka, min(mean) as least from lab.edit_intervals\n"
        "  where model = {model} and dataset in ({datasets}) and quantity = 'linear_cka_debiased' and task is not null\n"
        "  group by all\n"
        "), over_tasks as (\n"
        "  select method, depth, layer_name, count(*) as tasks, avg(cka) as cka,\n"
        "         stddev_samp(cka) / sqrt(count(*)) as error, min(least) as least from by_task group by all\n"
        ")\n"
        "select method, depth as layer, layer_name, tasks, round(cka, 4) as cka, round(cka - quantile * error, 4) as low,\n"
        "       round(cka + quantile * error, 4) as high, round(least, 4) as least\n"
        "from over_tasks left join lab.t_quantiles on n = tasks order by method, depth",
    ),
)


def editing(
    model: options.Model,
    task: Annotated[
        list[str] | None,
        typer.Option(help="A TOML file that says what is asked; its own tasks if not given. Repeatable."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="The images or texts that its own tasks are of, and that robustness is judged on."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer tasks, draws, settings and corruptions: minutes on two cores.")
    ] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="Draws of the exemplars.")] = None,
    line: Annotated[
        list[str] | None,
        typer.Option(
            help="An untouched network for the line of effective robustness; the model's other checkpoints if not given."
        ),
    ] = None,
    as_released: options.EditedAsReleased = False,
    revision: options.Revisions = None,
    name: options.Name = None,
    device: options.Device = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """What does an edit break? Every method under every constraint: robustness lost against success."""
    from pathlib import Path

    from service.experiments.edit_networks import editor_of
    from service.experiments.edit_study import asked_study

    settings = Settings()
    with progress_bar(quiet=json):
        paths = [Path(one) for one in task or ()]
        request = asked_study(model, paths, dataset, quick, seeds, line, revision or (), name, as_released)
        editor = editor_of(settings, request.grid, device or settings.device, trust_remote_code)
        answered = request.is_answered(editor)
        if not answered:
            from flows.edit_networks import study_editing

            study_editing(
                model,
                task,
                dataset,
                quick,
                seeds,
                line,
                revision,
                name,
                device or settings.device,
                trust_remote_code,
                settings.store_name,
                settings.lock_wait,
                as_released,
            )
    names = {"model": quoted(request.model), "datasets": ", ".join(map(quoted, request.datasets))}
    questions = [(title, query.format(**names)) for title, query in QUESTIONS]
    if json:
        show_json(found(settings, questions))
        return
    tasks = ", ".join(dict.fromkeys(part.asked.task.name for part in request.parts))
    typer.echo(
        f"{request.model}: {len(request.parts)} draws of {tasks}: {'nothing is missing' if answered else 'edited'}"
    )
    show_answers(settings, questions)
    if not request.line:
        typer.echo(NO_LINE)
