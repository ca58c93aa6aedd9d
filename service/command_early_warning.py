"""``isoscope early-warning``: does the dimension grow before the loss explodes?"""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from service import cli_options as options
from service.cli_output import progress_bar, show_json, show_table
from service.settings import Settings

SUMMARY = """
select signal, horizon, spikes, round(auroc, 3) as auroc, round(auroc_low, 3) as low, round(auroc_high, 3) as high,
       round(precision_at_alarms, 2) as "precision", round(recall_at_alarms, 2) as recall
from lab.early_warning_scores
where study = ? and cause = 'all' and auroc is not null
order by horizon, auroc desc
"""
EVERYTHING = "select * from lab.early_warning_scores where study = ? order by cause, horizon, signal"


def early_warning(
    condition: Annotated[
        list[str] | None, typer.Option(help="none, 'high learning rate', ...; all if not given. Repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each condition.")] = 6,
    steps: Annotated[int, typer.Option(min=100, help="Optimiser steps of each training.")] = 600,
    every: Annotated[int, typer.Option(min=1, max=10, help="Steps between two probes.")] = 2,
    at_once: Annotated[int, typer.Option(min=1, help="Trainings side by side, one thread each.")] = 2,
    json: options.Json = False,
) -> None:
    """Train small decoders with and without what makes a loss spike, and score what might have foretold it."""
    from service.experiments.early_warning import CONDITIONS, Study
    from service.storage import answers
    from service.storage.database import Store

    study = Study(tuple(condition or CONDITIONS), seeds, steps, every)
    from flows.early_warning import early_warning as flow

    settings = Settings()
    place, wait = str(settings.store), settings.lock_wait
    with progress_bar(quiet=json):
        flow(cast(Any, study.conditions), seeds, steps, every, at_once, place, wait)
    store = Store(settings.store, settings.lock_wait)
    columns, rows = answers.as_rows(answers.ask(store, EVERYTHING if json else SUMMARY, [study.name]))
    if json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    show_table(columns, rows)
    typer.echo(f"\nstudy {study.name}: isoscope plot early-warning, or ask lab.early_warning_scores")
