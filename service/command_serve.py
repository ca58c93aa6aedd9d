"""``isoscope serve``: the flows as deployments of a Prefect server, with their schedules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli_output import show_json, show_table
from service.errors import BadInput
from service.settings import Settings

if TYPE_CHECKING:
    from flows.serving import Service

PREFECT_PORT = 4200


def serve(
    config: Annotated[
        Path | None, typer.Option(help="The file of schedules; ./isoscope.toml if there is one.", show_default=False)
    ] = None,
    with_server: Annotated[
        bool, typer.Option("--with-server", help="Also start a Prefect server on loopback, for as long as this runs.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help=f"The port of --with-server; {PREFECT_PORT} if not given.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the deployments are called on the Prefect server.")] = "isoscope",
    limit: Annotated[int, typer.Option(min=1, help="Runs at once in all; of one deployment it is always one.")] = 1,
    check: Annotated[bool, typer.Option("--check", help="Print what would be served, and stop.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print --check as JSON, for machines.")] = False,
) -> None:
    """Serve every flow as a Prefect deployment, with the schedules of isoscope.toml, until SIGTERM or Ctrl-C."""
    from flows import serving
    from service.schedules import read_schedules

    if port is not None and not with_server:
        raise BadInput("--port is the port of the server that --with-server starts: give both or neither")
    if json and not check:
        raise BadInput("--json prints what --check found: give both")
    chosen = (port or PREFECT_PORT) if with_server else None
    service = serving.Service(Settings(), read_schedules(config), name, limit, chosen)
    if check:
        _show(service, json)
    else:
        serving.serve(service, typer.echo)


def _show(service: Service, as_json: bool) -> None:
    rows = service.listing()
    if as_json:
        show_json(rows)
        return
    columns = ("deployment", "schedule", "when", "parameters")
    texts = [[", ".join(f"{key} = {value!r}" for key, value in row["parameters"].items())] for row in rows]
    show_table(
        columns, [[row[column] for column in columns[:-1]] + text for row, text in zip(rows, texts, strict=True)]
    )
