"""What automations can react to: Prefect events. An event that cannot be sent costs a line in the log, never a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.events import emit_event

from service.experiments.measure_layers import Outcome
from service.storage.answers import ask
from service.storage.database import Store
from service.subjects import path_name

MEASURED = "isoscope.checkpoint.measured"
SPIKE_SEEN = "isoscope.loss-spike.seen"
SPIKE_WARNING = "isoscope.loss-spike.warning"
HEADLINE = """
select
    (select avg(anisotropy) from lab.anisotropy_by_layer where model = $1 and revision = $2 and dataset = $3) as anisotropy,
    (select avg(twonn) from lab.intrinsic_dimension_by_layer where model = $1 and revision = $2 and dataset = $3) as twonn
"""
logger = logging.getLogger("prefect.isoscope.events")


def checkpoint_measured(store: Store, outcome: Outcome, dataset: str) -> None:
    """Tell that a checkpoint was measured and published, with the means of anisotropy and TwoNN over its layers."""
    checkpoint = outcome.checkpoint
    facts = {
        "model": checkpoint.model,
        "step": checkpoint.step,
        "revision": checkpoint.revision,
        "dataset": dataset,
        "layers": outcome.sites,
        "rows": outcome.rows,
    }
    try:
        (headline,) = ask(store, HEADLINE, [checkpoint.model, checkpoint.revision, dataset]).to_pylist()
    except Exception as error:
        headline = {}
        logger.warning("the numbers of %s could not be told: %s", checkpoint.label, error)
    _emit(MEASURED, checkpoint.model, {**facts, **headline})


def spike_seen(store: Store, facts: Mapping[str, Any]) -> None:
    """Tell of a row of ``lab.loss_spikes``. Told twice it is the same event."""
    _emit(SPIKE_SEEN, facts["model"], facts, _once(SPIKE_SEEN, store, facts))


def spike_warning(store: Store, facts: Mapping[str, Any]) -> None:
    """Tell of a row of ``lab.loss_spike_warnings``. Told twice it is the same event."""
    _emit(SPIKE_WARNING, facts["model"], facts, _once(SPIKE_WARNING, store, facts))


def resource_id(model: str) -> str:
    """What automations match: ``isoscope.model.my-training``."""
    return f"isoscope.model.{path_name(model)}"


def _once(event: str, store: Store, facts: Mapping[str, Any]) -> UUID:
    """The id of what happens once: a server that has an event does not take it a second time."""
    return uuid5(NAMESPACE_URL, f"{event} {store.name} {facts['model']} {facts['step']}")


def _emit(event: str, model: str, facts: Mapping[str, Any], id: UUID | None = None) -> None:
    resource = {"prefect.resource.id": resource_id(model), "prefect.resource.name": model}
    try:
        emit_event(event, resource, payload=dict(facts), id=id)
    except Exception as error:
        logger.warning("the event %s of %s could not be sent: %s", event, model, error)
