"""``isoscope report``: everything the store tells, on one HTML page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service import cli_options as options
from service.cli_output import show_json
from service.settings import Settings


def report(
    model: options.ShownModels = None,
    dataset: options.ShownDatasets = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    json: options.Json = False,
) -> None:
    """Write one self-contained HTML page: a section an experiment, with figures, their SQL and sortable tables."""
    from service.report.page import write_report
    from service.storage.database import Store, reading

    store = Store(Settings().store, Settings().lock_wait)
    filters = {"model": model or [], "dataset": dataset or []}
    with reading(store) as connection:
        found = write_report(connection, out, filters, str(store.place), datetime.now(UTC))
    if json:
        show_json({**vars(found), "sections": list(found.sections)})
        return
    size = f"{found.bytes / 1e6:.1f} MB"
    typer.echo(f"{found.path}: {len(found.sections)} sections, {found.figures} figures, {found.rows} rows, {size}")
