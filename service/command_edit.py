"""``isoscope edit``: make a network do what a task asks, and see what that breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service import cli_options as options
from service.cli_options import numbers, shares
from service.cli_output import progress_bar, show_json, show_table
from service.errors import BadInput
from service.settings import Settings

SHOWN = """
with shown as (
  select task, method, layer, limited_to, steps, learning_rate as rate, count(*) as draws,
         avg(exemplar_success) as exemplars, avg(success_before) as before, avg(success) as held_out,
         stddev_samp(success) / sqrt(count(*)) as error, avg(generality) as generality, avg(locality) as locality,
         bool_and(converged) as converged
  from lab.edits where list_contains($edits, edit_id) group by all
)
select task, method, layer, limited_to, steps, rate, draws, round(exemplars, 3) as exemplars, round(before, 3) as before,
       round(held_out, 3) as held_out,
       case when error is not null then round(greatest(held_out - quantile * error, 0), 3) end as low,
       case when error is not null then round(least(held_out + quantile * error, 1), 3) end as high,
       round(generality, 3) as generality, round(locality, 3) as locality, converged
from shown left join lab.t_quantiles on n = draws order by task, method, layer, limited_to
"""
BROKEN = """
with each as (
  select method, layer, limited_to, task, edit_id,
         avg(untouched_accuracy) filter (severity = 0) as clean_before, avg(accuracy) filter (severity = 0) as clean,
         avg(untouched_accuracy) filter (severity > 0) as corrupted_before, avg(accuracy) filter (severity > 0) as corrupted,
         avg(change) filter (severity > 0) as change, avg(effective_robustness_change) as effective_change,
         avg(calibration_change) filter (severity > 0) as calibration_change
  from lab.edit_robustness where list_contains($edits, edit_id) group by all
), by_unit as (
  select method, layer, limited_to, case when (select count(distinct task) from each) > 1 then task else edit_id end as unit,
         count(*) as edits, avg(clean_before) as clean_before, avg(clean) as clean,
         avg(corrupted_before) as corrupted_before, avg(corrupted) as corrupted, avg(change) as change,
         avg(effective_change) as effective_change, avg(calibration_change) as calibration_change
  from each group by all
), broken as (
  select method, layer, limited_to, sum(edits)::integer as edits, count(*) as units, avg(clean_before) as clean_before,
         avg(clean) as clean, avg(corrupted_before) as corrupted_before, avg(corrupted) as corrupted, avg(change) as change,
         stddev_samp(change) / sqrt(count(*)) as error, avg(effective_change) as effective_change,
         avg(calibration_change) as calibration_change
  from by_unit group by all
)
select method, layer, limited_to, edits, round(clean_before, 4) as clean_before, round(clean, 4) as clean,
       round(corrupted_before, 4) as corrupted_before, round(corrupted, 4) as corrupted, round(change, 4) as change,
       round(change - quantile * error, 4) as low, round(change + quantile * error, 4) as high,
       round(effective_change, 4) as effective_change, round(calibration_change, 4) as calibration_change
from broken left join lab.t_quantiles on n = units order by method, layer, limited_to
"""
NO_LINE = "\nno effective robustness: the line needs other untouched networks, and none are known: name them by --line"
EVERYTHING = {
    "edits": "select * from lab.edits where list_contains($edits, edit_id) order by all",
    "scores": "select * from lab.edit_scores where list_contains($edits, edit_id) order by all",
    "robustness": "select * from lab.edit_robustness where list_contains($edits, edit_id) order by all",
    "drift": "select * from lab.edit_drift where list_contains($edits, edit_id) order by all",
    "curves": "select * from lab.edit_curves where list_contains($edits, edit_id) order by all",
}


def edit(
    model: options.Model,
    task: Annotated[list[str], typer.Option(help="A TOML file that says what is asked. Repeatable.")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="fine-tuning, one-layer, low-rank, 1-li, interpolation, rewriting (images) or rome (decoders). Repeatable."
        ),
    ] = None,
    delta: Annotated[Path | None, typer.Option(help="A saved edit to be judged, in the place of --method.")] = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="Where, by depth or by the module's name; found if not given. Repeatable.")
    ] = None,
    rank: Annotated[str | None, typer.Option(help="Ranks of low-rank edits and of rewriting, such as 1,4.")] = None,
    alpha: Annotated[
        str | None, typer.Option(help="How far from the untouched weights (0) to the tuned (1), such as 0.25,0.5.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps; each method's usual if not given.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate; each method's usual if not given.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of the exemplars.")] = 1,
    search: Annotated[
        int, typer.Option(min=0, help="Edits of each method that are tried first, to choose what is not given.")
    ] = 0,
    dataset: Annotated[
        str | None, typer.Option(help="What robustness is judged on; the task's own dataset if not given.")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Images or windows that robustness is judged on.")] = 500,
    corruption: Annotated[
        list[str] | None, typer.Option(help="A family of corruptions; all that apply if not given. Repeatable.")
    ] = None,
    severity: Annotated[str, typer.Option(help="How severe, 1 to 5, such as 2,4.")] = "1,2,3,4,5",
    line: Annotated[
        list[str] | None,
        typer.Option(
            help="An untouched network for the line of effective robustness; the model's other checkpoints if not given."
        ),
    ] = None,
    as_released: options.EditedAsReleased = False,
    save: Annotated[Path | None, typer.Option(help="Write the one edit's change of weights to this file.")] = None,
    revision: options.Revisions = None,
    name: options.Name = None,
    device: options.Device = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Edit a network so that it does what a task asks; measure success, locality, robustness and which layers moved."""
    from service.experiments.edit_grid import Grid
    from service.experiments.edit_judging import Judging
    from service.experiments.edit_networks import editor_of
    from service.experiments.edit_request import asked_edits, asked_methods, read_tasks
    from service.networks.edits import read_delta

    settings = Settings()
    ranks, alphas = numbers("--rank", rank), shares("--alpha", alpha)
    severities = numbers("--severity", severity) or []
    saved = None if delta is None else read_delta(delta)
    grid = Grid(
        asked_methods(method, saved),
        tuple(layer) if layer else None,
        tuple(ranks) if ranks else None,
        tuple(alphas) if alphas else None,
        steps,
        rate,
        seeds,
        search,
        as_released=as_released,
    )
    judging = Judging(dataset, count, tuple(corruption) if corruption else None, tuple(severities))
    with progress_bar(quiet=json):
        request = asked_edits(model, read_tasks(task), grid, judging, revision or (), line, name, saved)
        editor = editor_of(settings, request.grid, device or settings.device, trust_remote_code, saved)
        answered = request.is_answered(editor)
        if not answered:
            from flows.edit_networks import edit_networks

            edit_networks(
                model,
                task,
                method,
                delta=None if delta is None else str(delta),
                layers=layer,
                ranks=ranks,
                alphas=alphas,
                steps=steps,
                learning_rate=rate,
                seeds=seeds,
                budget=search,
                as_released=as_released,
                dataset=dataset,
                count=count,
                corruptions=corruption,
                severities=severities,
                line=line,
                revisions=revision,
                name=name,
                device=device or settings.device,
                trust_remote_code=trust_remote_code,
                store=settings.store_name,
                lock_wait=settings.lock_wait,
            )
    edits = request.edits(editor)
    if save is not None:
        _save(editor.store, edits, save)
    show(editor.store, [one.edit_id for one in edits], "nothing is missing" if answered else "edited", json)
    if not (request.line or json):
        typer.echo(NO_LINE)


def show(store: Any, edits: list[str], done: str, json: bool) -> None:
    """What the edits do, and what they break."""
    from service.storage.answers import as_rows, ask

    given = {"edits": edits}
    if json:
        show_json({title: ask(store, query, given).to_pylist() for title, query in EVERYTHING.items()})
        return
    typer.echo(
        f"{len(edits)} edits: {done}. Share that comes out as asked (of held-out cases with its 95 % interval over draws), and "
        "share of other answers that are as they were"
    )
    show_table(*as_rows(ask(store, SHOWN, given)))
    typer.echo(
        "\naccuracy on what nobody asked to change, clean and under corruptions (the mean over them; 95 % interval of the "
        "change over tasks, of one task over draws)"
    )
    show_table(*as_rows(ask(store, BROKEN, given)))


def _save(store: Any, edits: list[Any], path: Path) -> None:
    """Write the delta of the one edit to a file of its own. Raises BadInput."""
    from service.storage.answers import write_file
    from service.storage.edit_deltas import read_delta
    from service.storage.edit_rows import stored_delta

    if len(edits) != 1:
        raise BadInput(
            f"--save is for one edit, and {len(edits)} are asked: give one task, method, layer, rank and alpha"
        )
    stored = stored_delta(store, edits[0].edit_id)
    if stored is None:
        raise BadInput(f"the edit {edits[0].edit_id} was recorded without its weights: there is nothing to save")
    write_file(path, read_delta(store, stored))
    typer.echo(f"{path}: the change of weights of edit {edits[0].edit_id}")
