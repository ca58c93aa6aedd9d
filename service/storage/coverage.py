"""What the store already holds, so that only what is missing is done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import String, bindparam, text

from service.storage import feeding, ledger
from service.storage.database import OnWait, Store, looking
from service.subjects import Checkpoint, Dataset, Site

SITES = text(
    "select checkpoint_id, c.model, c.step, c.revision, a.layer, a.stream, d.digest from activations a "
    "join checkpoints c using (checkpoint_id) join datasets d using (dataset) "
    "where checkpoint_id in :checkpoint_ids and dataset = :dataset order by checkpoint_id, a.layer"
).bindparams(bindparam("checkpoint_ids", expanding=True, type_=String))
MEASURED = text(
    "select distinct checkpoint_id, site_id, measure, version, "
    "split_part(variant, '/', 1) || '/' || split_part(variant, '/', 2) from layer_metrics "
    "join activations using (site_id) where checkpoint_id in :checkpoint_ids and dataset = :dataset"
).bindparams(bindparam("checkpoint_ids", expanding=True, type_=String))


@dataclass(frozen=True)
class Holding:
    """What is recorded of one checkpoint on one dataset: `sites` by depth, and what was `measured` there, each as
    (site_id, measure, version, ``procedure/positions``)."""

    sites: list[Site] = field(default_factory=list)
    measured: set[tuple[str, str, int, str]] = field(default_factory=set)


def holdings(store: Store, checkpoint_ids: Iterable[str], dataset: str, on_wait: OnWait = None) -> dict[str, Holding]:
    """What is recorded of each checkpoint on a dataset, found in one look at the database. Raises StoreBusy."""
    found = {checkpoint_id: Holding() for checkpoint_id in checkpoint_ids}
    asked = {"checkpoint_ids": list(found), "dataset": dataset}
    with looking(store, on_wait) as connection:
        for identity, model, step, revision, layer, stream, digest in connection.execute(SITES, asked):
            site = Site(Checkpoint(model, step, revision), dataset, digest, layer, stream)
            found[identity].sites.append(site)
        for identity, *row in connection.execute(MEASURED, asked):
            found[identity].measured.add(tuple(row))
    return found


def recorded_sites(store: Store, checkpoint_id: str, dataset: str) -> list[Site]:
    """The sites of a checkpoint on a dataset that have a row, by depth. Raises StoreBusy."""
    return holdings(store, [checkpoint_id], dataset)[checkpoint_id].sites


def measured(store: Store, checkpoint_id: str, dataset: str) -> set[tuple[str, str, int, str]]:
    """What has a row: (site_id, measure, version, ``procedure/positions``). Raises StoreBusy."""
    return holdings(store, [checkpoint_id], dataset)[checkpoint_id].measured


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
