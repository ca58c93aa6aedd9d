"""What a shape command would do, before any flow starts: a repeated command learns here that nothing is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.experiments.layer_question import ask, missing
from service.experiments.measure_layers import Outcome
from service.experiments.progress import tell_waiting
from service.networks.checkpoints import CheckpointSource, find_checkpoints
from service.settings import Settings
from service.storage.database import open_store, publish


@dataclass(frozen=True)
class Plan:
    """The checkpoints that were asked for on a dataset, and those of them that are still to be measured."""

    sources: tuple[CheckpointSource, ...]
    todo: tuple[CheckpointSource, ...]
    dataset: str

    def answer(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        """What was done, for machines, with one `line` for people."""
        model, there = self.sources[0].checkpoint.model, len(self.sources) - len(self.todo)
        already = f"{there} of {len(self.sources)} checkpoints already measured" if there else ""
        rows = sum(outcome.rows for outcome in outcomes)
        done = f"{len(outcomes)} checkpoints measured, {rows:,} rows" if outcomes else "nothing is missing"
        return {
            "model": model,
            "dataset": self.dataset,
            "checkpoints": len(self.sources),
            "already_measured": there,
            "rows": rows,
            "measured": [
                {
                    "step": outcome.checkpoint.step,
                    "revision": outcome.checkpoint.revision,
                    "layers": outcome.sites,
                    "rows": outcome.rows,
                    "network_loaded": outcome.loaded,
                    "seconds": round(outcome.seconds, 3),
                    "worker": outcome.worker,
                }
                for outcome in outcomes
            ],
            "line": f"{model} on {self.dataset}: " + "; ".join(part for part in (done, already) if part),
        }


def plan(
    settings: Settings,
    model: str,
    revisions: Sequence[str],
    dataset: str,
    name: str | None,
    question: Mapping[str, Any],
) -> Plan:
    """What is asked and what of it is missing; opens the store, loads no network.

    Raises UnknownName, BadInput, NetworkMismatch, StoreBusy, StoreNotMigrated, StoreNotWritable.
    """
    asked = ask(dataset, **question)
    sources = find_checkpoints(model, revisions, name)
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    lacking = missing(store, [source.checkpoint for source in sources], asked, tell_waiting)
    todo = tuple(source for source in sources if lacking[source.checkpoint])
    if not todo:
        publish(store, tell_waiting)
    return Plan(tuple(sources), todo, asked.items.dataset.name)
