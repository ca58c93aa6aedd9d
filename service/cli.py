"""The command line: strings in, one flow or one query called, a short answer out."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from service import __version__
from service import cli_options as options
from service.cli_options import layer_numbers
from service.cli_output import OneLineErrors, progress_bar, show_json, show_table
from service.command_attribute import attribute
from service.command_compare import compare
from service.command_dissimilarity import add_studies
from service.command_drift import drift
from service.command_early_warning import early_warning
from service.command_edit import edit
from service.command_editing import editing
from service.command_plot import plot
from service.command_probe import probe
from service.command_report import report
from service.command_separate import separate
from service.command_serve import serve
from service.command_stitch import stitch
from service.command_study import study
from service.command_train import train
from service.command_watch import watch
from service.errors import BadInput, UnknownName
from service.settings import Settings

app = typer.Typer(
    cls=OneLineErrors,
    help="A microscope for the geometry of learned representations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Runner = Literal["local", "ray"]
LISTED = ("models", "checkpoints", "datasets", "measures", "runs", "views")


class Format(StrEnum):
    """How an answer is printed."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.callback()
def main(
    store: Annotated[
        str | None,
        typer.Option(help="The store's folder or s3:// URL; ISOSCOPE_STORE says it too.", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the flows' own logs.")] = False,
) -> None:
    """A microscope for the geometry of learned representations."""
    if store is not None:
        os.environ["ISOSCOPE_STORE"] = store
    if not debug:
        for setting in ("HANDLERS_CONSOLE_LEVEL", "INTERNAL_LEVEL"):
            os.environ.setdefault(f"PREFECT_LOGGING_{setting}", "CRITICAL")


@app.command()
def shape(
    model: options.Model,
    revision: options.Revisions = None,
    dataset: options.Datasets = None,
    measure: options.Measures = None,
    layers: options.Layers = None,
    tokens: options.FewestTokens = None,
    window: options.Window = None,
    sample: options.Sample = None,
    as_released: options.MeasuredAsReleased = False,
    name: options.Name = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    batch_size: options.BatchSize = None,
    trust_remote_code: options.TrustRemoteCode = False,
    runner: Annotated[
        Runner, typer.Option(help="Where checkpoints are measured: here, or by Ray's workers.")
    ] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="A Ray cluster, ray://head:10001 or auto; one on this host alone if not given.")
    ] = None,
    num_gpus: Annotated[float, typer.Option(min=0, help="GPUs that Ray gives to each checkpoint.")] = 0.0,
    num_cpus: Annotated[float, typer.Option(min=0, help="CPU cores that Ray gives to each checkpoint.")] = 1.0,
    json: options.Json = False,
) -> None:
    """Measure how the cloud of hidden states is shaped, layer by layer and checkpoint by checkpoint."""
    settings = Settings()
    common: dict[str, Any] = {
        "measures": measure or [],
        "layers": layer_numbers(layers),
        "tokens": tokens,
        "window": window,
        "sample": sample,
        "as_released": as_released,
    }
    network: dict[str, Any] = {
        "device": device or settings.device,
        "dtype": dtype,
        "batch_size": batch_size,
        "trust_remote_code": trust_remote_code,
        "runner": runner,
        "ray_address": ray_address,
        "num_gpus": num_gpus,
        "num_cpus": num_cpus,
    }
    answers = []
    for one in dataset or ["python-reference"]:
        from service.experiments.shape import plan

        with progress_bar(quiet=json):
            planned = plan(settings, model, revision or [], one, name, common)
        outcomes: list[Any] = []
        if planned.todo:
            from flows.measure_layers import measure_layers

            with progress_bar(quiet=json):
                outcomes = measure_layers(
                    model,
                    revision,
                    one,
                    name=name,
                    store=settings.store_name,
                    lock_wait=settings.lock_wait,
                    **common,
                    **network,
                )
        answers.append(planned.answer(outcomes))
    if json:
        show_json(answers)
        return
    for answer in answers:
        typer.echo(answer["line"])


@app.command()
def sql(
    query: Annotated[
        str, typer.Argument(help="One query over the views of schema lab; '-' reads it from standard input.")
    ],
    format: Annotated[Format, typer.Option(help="How the answer is printed.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="Write the answer to this file.")] = None,
    json: options.Json = False,
) -> None:
    """Ask the published snapshot a question in SQL: read-only, and no file can be reached from it."""
    from service.storage import answers
    from service.storage.database import Store

    settings = Settings()
    text = sys.stdin.read() if query == "-" else query
    table = answers.ask(Store(settings.store, settings.lock_wait), text)
    chosen = Format.json if json else format
    if chosen is Format.table:
        if out:
            raise BadInput("a table is for reading, not for a file: give --format csv, json or parquet with --out")
        show_table(*answers.as_rows(table))
        return
    if chosen is Format.parquet and out is None and sys.stdout.isatty():
        raise BadInput("Parquet on a terminal is unreadable: give --out FILE, or pipe it")
    writers = {Format.csv: answers.as_csv, Format.json: answers.as_json, Format.parquet: answers.as_parquet}
    body = writers[chosen](table)
    if out is None:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    else:
        answers.write_file(out, body)


@app.command()
def ls(
    what: Annotated[str, typer.Argument(help="models, checkpoints, datasets, measures, runs or views.")],
    json: options.Json = False,
) -> None:
    """List what the store holds."""
    from service.storage import answers
    from service.storage.database import Store

    if what not in LISTED:
        raise UnknownName.of("listing", what, LISTED)
    settings = Settings()
    queries = {
        "views": "select view_name as view,comment as meaning from duckdb_views() where schema_name = 'lab' order by 1",
        "measures": "select measure, version, unit, lower, upper, std_error, source from lab.measures order by all",
        "runs": "select * from lab.runs order by started_at",
    }
    table = answers.ask(
        Store(settings.store, settings.lock_wait), queries.get(what, f"select * from lab.{what} order by all")
    )
    columns, rows = answers.as_rows(table)
    if json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(columns, rows)


@app.command()
def status(json: options.Json = False) -> None:
    """Say what the store holds, how large it is, when it was last written, and who holds it now."""
    from service.storage.status import status as store_status

    facts = store_status(Settings().store)
    if json:
        show_json(facts)
    else:
        show_table(("what", "value"), list(facts.items()))


@app.command()
def check(json: options.Json = False) -> None:
    """Verify that rows and files agree: nothing missing, orphaned, altered or half-written. Exit status 1 if not."""
    from service.storage.consistency import check as problems_of
    from service.storage.database import existing_store

    settings = Settings()
    problems = problems_of(existing_store(settings.store, settings.lock_wait))
    if json:
        show_json([{"kind": one.kind, "subject": one.subject, "what": one.what} for one in problems])
    elif problems:
        show_table(("kind", "subject", "what"), [(one.kind, one.subject, one.what) for one in problems])
    else:
        typer.echo("rows and files agree")
    raise typer.Exit(1 if problems else 0)


@app.command()
def rebuild() -> None:
    """Make the database again from the store's Parquet files alone."""
    from service.storage.rebuilding import rebuild as rebuild_store

    settings = Settings()
    runs = rebuild_store(settings.store, settings.lock_wait)
    typer.echo(f"rebuilt {settings.store} from {runs} runs")


@app.command()
def upgrade() -> None:
    """Migrate an old store to this version's schema."""
    from service.storage.database import existing_store
    from service.storage.database import upgrade as upgrade_store

    settings = Settings()
    upgrade_store(existing_store(settings.store, settings.lock_wait, migrated=False))
    typer.echo(f"{settings.store} is at this version's schema")


@app.command()
def demo(
    name: Annotated[
        str | None, typer.Argument(help="shape, explosion, layers, comparison, concepts or editing; all if not given.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where its networks and figures go.")] = Path("isoscope-demo"),
) -> None:
    """Train small networks on the spot, measure them, and ask SQL what the paper claims."""
    from service.demo import DEMONSTRATIONS

    if name is not None and name not in DEMONSTRATIONS:
        raise UnknownName.of("demonstration", name, DEMONSTRATIONS)
    for demonstration in [name] if name else DEMONSTRATIONS:
        DEMONSTRATIONS[demonstration](Settings(), folder)


app.command()(compare)
app.command()(stitch)
app.command()(drift)
app.command("early-warning")(early_warning)
app.command()(edit)
app.command()(plot)
app.command()(probe)
app.command()(attribute)
app.command()(train)
app.command()(report)
app.command()(separate)
app.command()(serve)
add_studies(study)
study.command()(editing)
app.add_typer(study, name="study")
app.command()(watch)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


if __name__ == "__main__":
    app()
