"""``isoscope stitch``: is what one network has at a layer of use to another?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service import cli_options as options
from service.cli_output import progress_bar, show_json, show_table
from service.settings import Settings

SHOWN = """
select model_a as bottom, step_a, layer_a, model_b as top, step_b, layer_b, map, steps, round(loss, 4) as loss,
       round(penalty, 4) as penalty, round(penalty_std_error, 4) as std_error,
       round(accuracy_change, 4) as accuracy_change, converged
"""
EVERYTHING = "select *"
ASKED = """
from lab.stitching where dataset = ? and revision_a in (select unnest(?)) and revision_b in (select unnest(?))
  and list_contains(?, layer_a || ':' || layer_b) order by all
"""


def stitch(
    first: Annotated[str, typer.Argument(help="A hub name or a folder of checkpoints; it gives the bottom first.")],
    second: options.OtherModel,
    layers: Annotated[str, typer.Option(help="Pairs of layers such as 3:3,4:5.")],
    map: Annotated[
        list[str] | None,
        typer.Option(
            help="affine, linear, orthogonal, least-squares, procrustes or identity; the usual if not given. Repeatable."
        ),
    ] = None,
    both_ways: Annotated[
        bool, typer.Option("--both-ways/--one-way", help="Also with the second network for a bottom, or not.")
    ] = True,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of a map that is trained, at most.")] = 300,
    revision: options.RevisionsOfBoth = None,
    revision_a: options.RevisionsOfFirst = None,
    revision_b: options.RevisionsOfSecond = None,
    dataset: options.Dataset = "python-reference",
    window: options.Window = None,
    name_a: options.NameOfFirst = None,
    name_b: options.NameOfSecond = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
) -> None:
    """Put a trained map between a layer of one network and the next block of another, and tell what is lost by it."""
    from service.experiments.comparison_plan import asked_pairs
    from service.experiments.stitch_networks import Wanted
    from service.experiments.stitch_plan import asked_seams, plan
    from service.storage import answers
    from service.storage.database import Store

    settings = Settings()
    revision_a, revision_b = revision_a or revision, revision_b or revision
    wanted = Wanted(tuple(map or ()), steps)
    with progress_bar(quiet=json):
        pairs = asked_pairs(first, second, revision_a, revision_b, name_a, name_b)
        seams = asked_seams(pairs, layers, both_ways)
        planned = plan(settings, seams, dataset, window, wanted)
    if planned.todo:
        from flows.stitch_networks import stitch_networks

        with progress_bar(quiet=json):
            stitch_networks(
                first,
                second,
                layers,
                revision_a,
                revision_b,
                dataset,
                map,
                both_ways,
                steps,
                window=window,
                name_first=name_a,
                name_second=name_b,
                device=device or settings.device,
                dtype=dtype,
                trust_remote_code=trust_remote_code,
                store=settings.store_name,
                lock_wait=settings.lock_wait,
            )
    store = Store(settings.store, settings.lock_wait)
    asked: list[Any] = [planned.dataset, *_revisions(seams), sorted({f"{i}:{j}" for i, j in (s.layers for s in seams)})]
    if json:
        rows = answers.ask(store, EVERYTHING + ASKED, asked).to_pylist()
        show_json({"dataset": planned.dataset, "stitched": len(planned.todo), "seams": len(seams), "rows": rows})
        return
    done = f"{len(planned.todo)} stitched" if planned.todo else "nothing is missing"
    typer.echo(f"{len(seams)} pairs of layers on {planned.dataset}: {done}")
    show_table(*answers.as_rows(answers.ask(store, SHOWN + ASKED, asked)))


def _revisions(seams: list[Any]) -> list[list[str]]:
    """The revisions of the bottoms, and those of the tops."""
    bottoms = {str(seam.pair.first.checkpoint.revision) for seam in seams}
    tops = {str(seam.pair.second.checkpoint.revision) for seam in seams}
    return [sorted(bottoms), sorted(tops)]
