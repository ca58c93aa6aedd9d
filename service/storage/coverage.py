"""What the store already holds, so that only what is missing is done."""

from __future__ import annotations

from sqlalchemy import text

from service.storage import feeding, ledger
from service.storage.database import Store, looking
from service.subjects import Checkpoint, Dataset, Site


def recorded_sites(store: Store, checkpoint_id: str, dataset: str) -> list[Site]:
    """The sites of a checkpoint on a dataset that have a row, by depth. Raises StoreBusy."""
    query = text(
        "select c.model, c.step, c.revision, a.layer, a.stream, d.digest from activations a "
        "join checkpoints c using (checkpoint_id) join datasets d using (dataset) "
        "where checkpoint_id = :checkpoint_id and dataset = :dataset order by a.layer"
    )
    with looking(store) as connection:
        rows = connection.execute(query, {"checkpoint_id": checkpoint_id, "dataset": dataset}).all()
    return [
        Site(Checkpoint(row.model, row.step, row.revision), dataset, row.digest, row.layer, row.stream) for row in rows
    ]


def measured(store: Store, checkpoint_id: str, dataset: str) -> set[tuple[str, str, int, str]]:
    """What has a row: (site_id, measure, version, ``procedure/positions``). Raises StoreBusy."""
    query = text(
        "select distinct site_id, measure, version, split_part(variant, '/', 1) || '/' || split_part(variant, '/', 2) "
        "from layer_metrics where site_id in "
        "(select site_id from activations where checkpoint_id = :checkpoint_id and dataset = :dataset)"
    )
    with looking(store) as connection:
        rows = connection.execute(query, {"checkpoint_id": checkpoint_id, "dataset": dataset}).all()
    return {(row[0], row[1], row[2], row[3]) for row in rows}


def refuse_mixture(store: Store, checkpoint: Checkpoint, dataset: Dataset) -> None:
    """Refuse, before any network is loaded, what ``record`` would refuse after.

    Raises NetworkMismatch where the checkpoint's step is recorded with other weights, BadInput where the dataset's
    content changed since it was recorded.
    """
    incoming = {
        "checkpoints": ledger.arrow_table(
            "checkpoints",
            [
                {
                    "checkpoint_id": checkpoint.checkpoint_id,
                    "model": checkpoint.model,
                    "step": checkpoint.step,
                    "revision": checkpoint.revision,
                }
            ],
        ),
        "datasets": ledger.arrow_table("datasets", [{"dataset": dataset.name, "digest": dataset.digest}]),
    }
    with looking(store) as connection:
        feeding.refuse_mixture(connection, incoming)
