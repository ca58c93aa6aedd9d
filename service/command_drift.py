"""``isoscope drift``: how the clouds of the layers move with depth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service import cli_options as options
from service.cli_output import progress_bar, show_json, show_table
from service.settings import Settings

if TYPE_CHECKING:
    from service.experiments.drift_layers import DriftPlan
    from service.storage.database import Store

# of the last step, where there are several
PATH = """
select layer, norm_mean, step_length as step, step_angle as angle, step_over_spread as "step/spread"
from lab.layer_drift where model = ? and dataset = ?
qualify dense_rank() over (order by step desc nulls last, revision) = 1 order by layer
"""
GROWTH = """
select step, rate, rate_std_error, doubling_layers, r_squared_exponential, r_squared_linear, note
from lab.norm_growth where model = ? and dataset = ? order by step nulls first
"""


def drift(
    model: options.Model,
    revision: options.Revisions = None,
    dataset: options.Datasets = None,
    texts: options.Texts = None,
    length: options.Length = None,
    sample: options.Sample = None,
    points: Annotated[int, typer.Option(min=10, help="Points of each layer on the planes.")] = 200,
    as_released: Annotated[
        bool, typer.Option("--as-released", help="Also run the published study's own procedure.")
    ] = False,
    name: options.Name = None,
    device: options.Device = None,
    dtype: options.Dtype = "auto",
    batch_size: options.BatchSize = None,
    trust_remote_code: options.TrustRemoteCode = False,
    out: Annotated[Path, typer.Option(help="The folder for the figures.")] = Path("."),
    json: options.Json = False,
) -> None:
    """Follow the layers' clouds through depth: where they go, how their norms grow, and how they lie on one plane."""
    from service.experiments.drift_layers import plan
    from service.storage.database import Store

    settings = Settings()
    asked: dict[str, Any] = {
        "texts": texts,
        "length": length,
        "sample": sample,
        "points": points,
        "as_released": as_released,
    }
    network: dict[str, Any] = {"dtype": dtype, "batch_size": batch_size, "trust_remote_code": trust_remote_code}
    network |= {"device": device or settings.device, "name": name}
    store, answers = Store(settings.store, settings.lock_wait), []
    for one in dataset or ["python-reference"]:
        with progress_bar(quiet=json):
            planned = plan(settings, model, revision or [], one, name, asked)
        found: list[Any] = []
        if planned.todo:
            from flows.drift_layers import drift_layers

            network |= {"store": settings.store_name, "lock_wait": settings.lock_wait}
            with progress_bar(quiet=json):
                found = drift_layers(model, revision, one, **asked, **network)
        answers.append(_answer(store, planned, found, out))
    if json:
        show_json(answers)
        return
    for answer in answers:
        _show(answer)


def _answer(store: Store, planned: DriftPlan, found: list[Any], out: Path) -> dict[str, Any]:
    """What was done, what was found, and where it is drawn: anew only where something was measured or no figure lies."""
    from service.storage.answers import ask
    from service.subjects import path_name

    subject = [planned.model, planned.dataset]
    stem = "-".join(["drift", *map(path_name, subject)])
    figures = [out / f"{stem}.png", out / f"{stem}.svg"]
    if found or not all(path.exists() for path in figures):
        _draw(store, subject, out, stem)
    return planned.answer(found) | {
        "path": ask(store, PATH, subject).to_pylist(),
        "growth": ask(store, GROWTH, subject).to_pylist(),
        "figures": [str(path) for path in figures],
    }


def _draw(store: Store, subject: list[str], out: Path, stem: str) -> None:
    from service.report.figures import figure, save
    from service.storage.database import reading

    with reading(store) as connection:
        drawn = figure("drift", connection, subject[:1], subject[1:])
    save(drawn, out, stem)


def _show(answer: dict[str, Any]) -> None:
    typer.echo(answer["line"])
    path = answer["path"]
    show_table(list(path[0]), [list(row.values()) for row in path])
    typer.echo(_growth_line(answer["growth"][-1]))
    typer.echo("\n".join(answer["figures"]))


def _growth_line(found: dict[str, Any]) -> str:
    if found["rate"] is None:
        return f"growth of the norm with depth: undefined, {found['note']}"
    error = f" ± {found['rate_std_error']:.2g}" if found["rate_std_error"] is not None else ""
    fits = [
        f"R² of the {name} {'undefined' if found[column] is None else format(found[column], '.4f')}"
        for name, column in (("exponential", "r_squared_exponential"), ("straight line", "r_squared_linear"))
    ]
    return f"the norm grows by {found['rate']:.4f}{error} nats a layer, {', '.join(fits)}"
