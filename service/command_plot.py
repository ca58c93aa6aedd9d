"""``isoscope plot``: one figure, as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service import cli_options as options
from service.cli_output import show_json
from service.settings import Settings


def plot(
    kind: Annotated[
        str,
        typer.Argument(
            help="anisotropy, intrinsic-dimension, norms, loss, drift, separability, similarity, map, stitching, concept, "
            "removal, tradeoff, edits, early-warning."
        ),
    ],
    models: Annotated[
        list[str] | None, typer.Argument(help="Models by name, or by folder as other commands take them; as --model.")
    ] = None,
    model: options.ShownModels = None,
    dataset: options.ShownDatasets = None,
    out: Annotated[Path, typer.Option(help="The folder for the PNG and the SVG.")] = Path("."),
    json: options.Json = False,
) -> None:
    """Draw layer-by-step heat maps and curves, as PNG and SVG, from the public views alone."""
    from service.networks.python_names import stored_name
    from service.report.figures import figure, save
    from service.storage.database import Store, reading

    settings = Settings()
    named = [stored_name(one) for one in [*(models or ()), *(model or ())]]
    with reading(Store(settings.store, settings.lock_wait)) as connection:
        drawn = figure(kind, connection, models=named or None, datasets=dataset)
    paths = [str(path) for path in save(drawn, out, kind)]
    if json:
        show_json(paths)
    else:
        typer.echo("\n".join(paths))
