"""``isoscope train``: a small network on a dataset, which notes what it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli_output import progress_bar, show_json
from service.errors import BadInput


def train(
    dataset: Annotated[str, typer.Argument(help="Images with a column label, or texts; as for --dataset elsewhere.")],
    out: Annotated[Path, typer.Argument(help="The folder for its checkpoints; what it is called in the store.")],
    width: Annotated[int, typer.Option(min=8, help="Width of a hidden state, a multiple of 4.")] = 32,
    layers: Annotated[int, typer.Option(min=1, help="Blocks.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 400,
    batch: Annotated[int, typer.Option(min=1, help="Items, or windows of 128 tokens, in a batch.")] = 64,
    learning_rate: Annotated[float, typer.Option(min=0, help="The highest, after the warm-up.")] = 3e-3,
    patch: Annotated[
        int | None, typer.Option(min=1, help="Side of an image's patches in pixels; a quarter of its.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of first weights and order.")] = 0,
    save: Annotated[
        str | None, typer.Option(help="Steps that are saved, such as 0,64,400; the last if not given.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Train a small vision transformer on images, or a small decoder on texts, that `attribute --retrain` can train again."""
    from service.cli_options import numbers
    from service.experiments.training_small import SmallTraining, train_small

    if width % 4:
        raise BadInput(f"--width is a multiple of 4, the number of attention heads; got {width}")
    kept = tuple(sorted({*(numbers("--save", save) or []), steps}))
    asked = SmallTraining(width, layers, steps, batch, learning_rate, patch, seed, kept)
    with progress_bar(quiet=json):
        said = train_small(dataset, out, asked)
    if json:
        show_json(said)
        return
    typer.echo(f"{out}: {said['items']:,} items of {said['dataset']}, {said['parameters']:,} parameters, {steps} steps")
