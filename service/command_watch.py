"""``isoscope watch``: a training measured while it runs."""

from __future__ import annotations

import json as machine
from pathlib import Path
from typing import Annotated, Any

import typer

from service import cli_options as options
from service.experiments.progress import Progress, listening
from service.experiments.training_news import News
from service.settings import Settings


def watch(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that a training writes its checkpoints to.")
    ],
    once: Annotated[bool, typer.Option("--once", help="Take in what is there, then end.")] = False,
    until_idle: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="End when nothing has changed for so long.")
    ] = None,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Between two looks.")] = 5.0,
    dataset: options.Dataset = "python-reference",
    measure: options.Measures = None,
    layers: options.Layers = None,
    tokens: options.FewestTokens = None,
    window: options.Window = None,
    sample: options.Sample = None,
    as_released: options.MeasuredAsReleased = False,
    name: Annotated[str | None, typer.Option(help="What to call the model in the store.")] = None,
    losses: Annotated[
        Path | None,
        typer.Option(help="The training's log, if not its trainer_state.json, .jsonl, .csv or event files."),
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    batch_size: options.BatchSize = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for machines.")] = False,
) -> None:
    """Measure each checkpoint of a training as it is completed, import its losses, and tell of loss spikes.

    Goes on until SIGTERM or Ctrl-C, which let the present checkpoint be finished; a second one does not.
    """
    from service.cli_options import layer_numbers
    from service.experiments.layer_question import ask
    from service.experiments.watch_training import find_training

    settings = Settings()
    question: dict[str, Any] = {
        "measures": measure or [],
        "layers": layer_numbers(layers),
        "tokens": tokens,
        "window": window,
        "sample": sample,
        "as_released": as_released,
    }
    ask(dataset, **question)
    find_training(str(folder), name)
    from flows.prefect_server import leave_untold
    from flows.watch_training import watch_here

    with listening(_show_waiting):
        told = watch_here(
            _show_as_json if json else _show,
            folder=str(folder),
            dataset=dataset,
            **question,
            name=name,
            losses=str(losses) if losses else None,
            every=every,
            until_idle=until_idle,
            once=once,
            device=device or settings.device,
            dtype=dtype,
            batch_size=batch_size,
            trust_remote_code=trust_remote_code,
            store=settings.store_name,
            lock_wait=settings.lock_wait,
        )
    if not told:
        leave_untold()


def _show(news: News) -> None:
    typer.echo(news.line)


def _show_as_json(news: News) -> None:
    typer.echo(machine.dumps({"kind": news.kind, "line": news.line, **news.facts}, default=str))


def _show_waiting(step: Progress) -> None:
    if step.stage == "waiting":
        typer.echo(f"waiting {step.subject}", err=True)
