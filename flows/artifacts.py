"""What a run leaves in the Prefect UI: tags, a table of what was found, and the figures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import create_image_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from service.errors import BadInput
from service.report.figures import as_png, figure
from service.storage.answers import as_rows, ask
from service.storage.database import Store, reading
from service.subjects import path_name

ARTIFACT_DPI = 90  # Prefect tells of an artifact in an event, and drops one of more than 1.5 MB
SHOWN = """
select a.step, layer, a.stream, round(anisotropy, 4) as anisotropy,
       round(anisotropy_not_first, 4) as anisotropy_not_first, round(twonn, 2) as twonn,
       round(i.std_error, 2) as twonn_std_error
from lab.anisotropy_by_layer a
left join lab.intrinsic_dimension_by_layer i using (model, revision, dataset, layer)
where model = ? and dataset = ? order by a.step, layer
"""


def artifact_key(*parts: str) -> str:
    """Prefect's artifact keys: lower-case letters, digits and dashes."""
    name = "-".join(path_name(part) for part in parts).lower()
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def tag_run(*subjects: str) -> None:
    """Tag the present run with what it is about, beside the tags of its deployment, so that the UI can be filtered."""
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(str(flow_run.id)), tags=sorted({"isoscope", *flow_run.tags, *subjects}))
    except httpx.HTTPError as error:
        get_run_logger().warning("the run could not be tagged: %s", error)


def leave_results(store: Store, model: str, dataset: str) -> None:
    """The table and the figures; the rows are in the store already, so a server that is away costs only these."""
    try:
        leave_table(store, model, dataset)
        leave_figures(store, model, dataset)
    except httpx.HTTPError as error:
        get_run_logger().warning("table and figures could not be left in Prefect: %s", error)


def leave_rows(store: Store, query: str, parameters: Sequence[str], key: str, description: str) -> None:
    """The answer to a query as a table artifact; a server that is away costs only this."""
    try:
        _leave_table(store, query, parameters, key, description)
    except httpx.HTTPError as error:
        get_run_logger().warning("the table could not be left in Prefect: %s", error)


def leave_figure(
    store: Store,
    kind: str,
    models: Sequence[str],
    key: str,
    description: str,
    datasets: Sequence[str] | None = None,
) -> None:
    """A figure of some models as an image artifact; a server that is away costs only this."""
    try:
        _leave_picture(store, kind, models, datasets, key, description)
    except httpx.HTTPError as error:
        get_run_logger().warning("the figure could not be left in Prefect: %s", error)


def leave_table(store: Store, model: str, dataset: str) -> None:
    """The anisotropy and intrinsic dimension of every layer and step of a model, as a table artifact."""
    _leave_table(store, SHOWN, [model, dataset], artifact_key("shape", model, dataset), f"{model} on {dataset}")


def _leave_table(store: Store, query: str, parameters: Sequence[str], key: str, description: str) -> None:
    columns, rows = as_rows(ask(store, query, parameters))
    create_table_artifact([dict(zip(columns, row, strict=True)) for row in rows], key=key, description=description)


def leave_figures(store: Store, model: str, dataset: str) -> None:
    """The heat maps and curves of a model, as image artifacts that carry their own pixels."""
    for kind in ("anisotropy", "intrinsic-dimension"):
        key = artifact_key(kind, model, dataset)
        _leave_picture(store, kind, [model], [dataset], key, f"{kind} of {model} on {dataset}")


def _leave_picture(
    store: Store, kind: str, models: Sequence[str], datasets: Sequence[str] | None, key: str, description: str
) -> None:
    with reading(store) as connection:
        try:
            picture = as_png(figure(kind, connection, models=models, datasets=datasets), ARTIFACT_DPI)
        except BadInput:  # nothing of this kind was measured: no picture of it
            return
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    create_image_artifact(url, key=key, description=description)
