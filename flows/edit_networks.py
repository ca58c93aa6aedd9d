"""What does an edit break? One task a task file and draw, whose failure does not stop the others."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.artifacts import artifact_key, leave_figure, leave_rows, tag_run
from flows.failures import in_one_line, raise_together
from flows.parameters import Count, Place, Seconds, last_part
from flows.parts import outcomes_of, part
from flows.progress_artifact import progress_shown, say
from service.experiments.edit_grid import Grid
from service.experiments.edit_judging import SEVERITIES, General, Judging
from service.experiments.edit_networks import Chosen, Editor
from service.experiments.edit_parts import Outcome, Part
from service.experiments.edit_request import Request, asked_edits, asked_methods, read_tasks
from service.experiments.edit_study import asked_study
from service.networks.checkpoints import CheckpointSource, load
from service.networks.edits import Delta, read_delta
from service.storage.database import open_store, publish

FAILED = "edits could not be made"
SHOWN = """
select method, layer, limited_to, edits, round(success, 3) as success, round(locality, 3) as locality,
       round(clean_change, 4) as clean_change, round(robustness_change, 4) as robustness_change, on_front
from lab.edit_tradeoff where model = ? and dataset = ? and task is null order by on_front desc, success desc
"""


def edit_name() -> str:
    """``demo-digits: 2 tasks``."""
    given = flow_run.parameters
    tasks = len(given.get("tasks") or [])
    return f"{last_part(str(given.get('model')))}: {f'{tasks} tasks' if tasks else 'its own tasks'}"


@part("judge an untouched network", "{source.checkpoint.label}")
def judge_untouched(source: CheckpointSource, general: General, editor: Editor) -> str:
    """Judge a network that is not edited, and publish what was found."""
    editor.judge_untouched(source, general)
    publish(editor.store)
    return source.checkpoint.label


@part("search settings", "{asked.label}")
def search_settings(asked: Part, editor: Editor) -> Chosen:
    """Try as many edits of each method as the budget has; those that did best."""
    chosen = editor.chosen(asked)
    publish(editor.store)
    return chosen


@part("edit", "{asked.label}")
def edit_part(asked: Part, editor: Editor, chosen: Chosen) -> Outcome:
    """Make, judge and record the edits of one task and draw, and publish what was found."""
    editor.trace(asked)
    outcome = editor.edit(asked, chosen)
    publish(editor.store)
    get_run_logger().info("%d edits in %.1f s", len(outcome.edits), outcome.seconds)
    return outcome


@flow(name="edit-networks", flow_run_name=edit_name, persist_result=False)
@in_one_line
def edit_networks(
    model: str,
    tasks: list[str],
    methods: list[str] | None = None,
    delta: str | None = None,
    layers: list[str] | None = None,
    ranks: list[Count] | None = None,
    alphas: list[float] | None = None,
    steps: Count | None = None,
    learning_rate: float | None = None,
    seeds: Count = 1,
    budget: int = 0,
    dataset: str | None = None,
    count: Count = 500,
    corruptions: list[str] | None = None,
    severities: list[Count] | None = None,
    line: list[str] | None = None,
    revisions: list[str] | None = None,
    name: str | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
    as_released: bool = False,
) -> list[Outcome]:
    """Edit a network so that it does what tasks ask, and record what that does to its robustness.

    The lines below are the run form of the Prefect UI.

    Args:
        model: A hub name, a checkpoint folder, or python:module:function; its last checkpoint is edited.
        tasks: TOML files that say what is asked.
        methods: fine-tuning, one-layer, low-rank, 1-li, interpolation, rewriting, rome.
        delta: A saved edit to be judged, in the place of methods.
        layers: Where to edit, by depth or by the module's name.
        ranks: Ranks of low-rank edits and of rewriting.
        alphas: How far from the untouched weights (0) to the tuned ones (1).
        steps: Optimiser steps.
        learning_rate: Of the optimiser.
        seeds: Draws of the exemplars.
        budget: Edits of each method that are tried first, to choose what is not given.
        dataset: What robustness is judged on; the task's own if not given.
        count: Images or windows that robustness is judged on.
        corruptions: Families of corruptions; all that apply if not given.
        severities: 1 to 5.
        line: Untouched networks that draw the line of effective robustness.
        revisions: A revision of the model.
        name: What to call a local model in the store.
        device: cuda, cpu or auto.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
        as_released: Also edit by rome and rewriting as their authors' code does it.
    """
    saved = None if delta is None else read_delta(Path(delta))
    grid = Grid(
        asked_methods(methods, saved),
        tuple(layers) if layers else None,
        tuple(ranks) if ranks else None,
        tuple(alphas) if alphas else None,
        steps,
        learning_rate,
        seeds,
        budget,
        as_released=as_released,
    )
    judging = Judging(dataset, count, tuple(corruptions) if corruptions else None, tuple(severities or SEVERITIES))
    request = asked_edits(model, read_tasks(tasks), grid, judging, revisions or (), line, name, saved)
    return edited(request, device, trust_remote_code, store, lock_wait, saved)


@flow(name="study-editing", flow_run_name=edit_name, persist_result=False)
@in_one_line
def study_editing(
    model: str,
    tasks: list[str] | None = None,
    dataset: str | None = None,
    quick: bool = False,
    seeds: Count | None = None,
    line: list[str] | None = None,
    revisions: list[str] | None = None,
    name: str | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
    as_released: bool = False,
) -> list[Outcome]:
    """Edit a network by every method under every constraint, and set robustness lost against success.

    The lines below are the run form of the Prefect UI.

    Args:
        model: A hub name, a checkpoint folder, or python:module:function; its last checkpoint is edited.
        tasks: TOML files that say what is asked; tasks of its own if not given.
        dataset: The images or texts that its own tasks are of.
        quick: Fewer tasks, draws, settings, images and corruptions.
        seeds: Draws of the exemplars.
        line: Untouched networks that draw the line of effective robustness.
        revisions: A revision of the model.
        name: What to call a local model in the store.
        device: cuda, cpu or auto.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
        as_released: Also edit by rome and rewriting as their authors' code does it.
    """
    given = [Path(one) for one in tasks or ()]
    request = asked_study(model, given, dataset, quick, seeds, line, revisions or (), name, as_released)
    return edited(request, device, trust_remote_code, store, lock_wait)


def edited(
    request: Request, device: str, trust_remote_code: bool, store: str, lock_wait: float, saved: Delta | None = None
) -> list[Outcome]:
    """Do what of a request is not recorded. Raises what stopped it."""
    opened = open_store(store, lock_wait, say)
    network = lru_cache(maxsize=1)(partial(load, device=device, trust_remote_code=trust_remote_code))
    editor = Editor(opened, request.grid, network, str(flow_run.id), say, saved)
    model = request.parts[0].source.checkpoint.model
    tag_run(model, "editing")
    with progress_shown(artifact_key("progress", model, "editing")):
        outcomes, failures = _outcomes(request, editor)
    _leave(request, editor, model)
    raise_together(failures, len(outcomes) + len(failures), FAILED)
    return outcomes


def _outcomes(request: Request, editor: Editor) -> tuple[list[Outcome], list[BaseException]]:
    lacking = [found for found in request.untouched if editor.lacks_untouched(*found)]
    parts = [(source.checkpoint.label, (source, general, editor)) for source, general in lacking]
    _, failures = outcomes_of(judge_untouched, parts, "networks")
    raise_together(failures, len(parts), "untouched networks could not be judged")
    chosen: Chosen = {}
    if request.grid.budget:
        first = request.parts[0]
        found, failures = outcomes_of(search_settings, [(first.label, (first, editor))], "searches")
        raise_together(failures, 1, "searches failed")
        chosen = found[0]
    todo = [(one.label, (one, editor, chosen)) for one in request.parts]
    return outcomes_of(edit_part, todo, "draws of tasks")


def _leave(request: Request, editor: Editor, model: str) -> None:
    publish(editor.store)
    for dataset in request.datasets:
        key = artifact_key("tradeoff", model, dataset)
        leave_rows(editor.store, SHOWN, [model, dataset], key, f"what edits of {model} break")
    leave_figure(editor.store, "tradeoff", [model], artifact_key("figure", "tradeoff", model), model, None)
