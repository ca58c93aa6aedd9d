"""What the command line shows: tables, JSON, a progress bar, and one line for an error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from typer.core import TyperGroup

from service.errors import IsoscopeError
from service.experiments.progress import Progress, listening
from service.settings import Settings

INTERRUPTED = "isoscope: interrupted; what was recorded stays, the same command goes on from there"


class OneLineErrors(TyperGroup):
    """A command group whose failures are one line on standard error, exit status 1; ``--debug`` lets them through."""

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except IsoscopeError as error:
            _unless_debugging(ctx, f"isoscope: {error}", 1)
        except KeyboardInterrupt:
            _unless_debugging(ctx, INTERRUPTED, 130)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if type(error).__module__.startswith(("click", "typer")):
                raise
            if _was_interrupted(error):  # a Ctrl-C also ends the temporary Prefect server, which then does not answer
                _unless_debugging(ctx, INTERRUPTED, 130)
            text = " ".join(str(error).split())[:300]
            _unless_debugging(ctx, f"isoscope: unforeseen {type(error).__name__}: {text} (--debug shows where)", 1)
        return None


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an error came while a Ctrl-C was dealt with."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _unless_debugging(ctx: Any, line: str, status: int) -> None:
    if ctx.params.get("debug"):
        raise
    typer.echo(" ".join(line.split("\n")), err=True)
    raise typer.Exit(status)


def show_json(value: object) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=2, default=str))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows under their column names, numbers to the right; never cut to the width of the terminal when piped."""
    # a dataset's options stand in square brackets, which would be markup
    console = Console(width=None if sys.stdout.isatty() else 10_000, markup=False, emoji=False, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        numeric = any(isinstance(row[place], int | float) and not isinstance(row[place], bool) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


def found(settings: Settings, questions: Iterable[tuple[str, str]]) -> dict[str, list[dict[str, Any]]]:
    """The answers to questions, titles with SQL, as rows."""
    from service.storage import answers
    from service.storage.database import Store

    store = Store(settings.store, settings.lock_wait)
    return {title: answers.ask(store, query).to_pylist() for title, query in questions}


def show_answers(settings: Settings, questions: Iterable[tuple[str, str]]) -> None:
    """Every question's SQL, so that it can be asked again, and its answer."""
    from service.storage import answers
    from service.storage.database import Store

    store = Store(settings.store, settings.lock_wait)
    for title, query in questions:
        typer.echo(f'\n-- {title}\nisoscope sql "{query}"\n')
        show_table(*answers.as_rows(answers.ask(store, query)))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[None]:
    """Show the progress of whatever runs inside: a bar on a terminal, lines in a log, nothing if quiet."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        with _moving_bar():
            yield
    else:
        with listening(_log_line):
            yield


@contextmanager
def _moving_bar() -> Iterator[None]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        whole = bar.add_task("starting", total=None, rate="")
        part = bar.add_task("", total=None, rate="", visible=False)
        started: dict[tuple[str, str], float] = {}

        def listener(step: Progress) -> None:
            if step.stage == "waiting":
                bar.console.print(f"waiting {step.subject}", highlight=False)
            elif step.stage == "checkpoints":
                bar.update(whole, description="checkpoints", completed=step.done, total=step.total)
            else:
                begun = started.setdefault((step.stage, step.subject), time.monotonic())
                rate = f"{step.done / max(time.monotonic() - begun, 1e-3):,.0f} {step.unit}/s" if step.done else ""
                text = f"{step.stage} {step.subject}"
                bar.update(part, description=text, completed=step.done, total=step.total, rate=rate, visible=True)

        with listening(listener):
            yield


def _log_line(step: Progress) -> None:
    if step.stage == "waiting":
        typer.echo(f"waiting {step.subject}", err=True)
    elif step.stage == "checkpoints" and step.subject:
        typer.echo(f"[{step.done + 1}/{step.total}] {step.subject}", err=True)
    elif step.unit == "networks" and step.subject:
        typer.echo(f"[{step.done}/{step.total}] {step.subject} is trained", err=True)
