"""What the flows of separability share: one task a part of a study, whose failures do not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import get_run_logger
from prefect.runtime import flow_run

from flows.artifacts import artifact_key, leave_figure, leave_rows, tag_run
from flows.failures import raise_together
from flows.networks import LastLoaded
from flows.parts import outcomes_of, part
from flows.progress_artifact import progress_shown, say
from service.experiments.layer_clouds import CloudReader
from service.experiments.separability_study import Part
from service.experiments.separate_layers import Outcome
from service.networks.checkpoints import CheckpointSource, load
from service.storage.database import Store, publish

SHOWN = """
select step, dataset, tested_on, question, classifier, procedure, from_layer, condition, amount, length,
       round(accuracy, 4) as accuracy, round(accuracy_low, 4) as accuracy_low, round(accuracy_high, 4) as accuracy_high,
       round(within_one, 4) as within_one, round(chance, 4) as chance, seeds
from lab.separability_scores where model = ? and layer is null
order by step, dataset, question, classifier, procedure, from_layer, condition, amount, length
"""


@dataclass(frozen=True)
class Asking:
    """How the parts of a study are answered: where, and with which networks."""

    store: Store
    window: int | None
    sample: int | None
    device: str
    dtype: str
    batch_size: int | None
    trust_remote_code: bool

    def reader(self, source: CheckpointSource, networks: LastLoaded, opened: dict[Any, Any]) -> CloudReader:
        """The clouds of a checkpoint; datasets in `opened` are not opened again."""
        take = partial(networks.take, source)
        return CloudReader(
            self.store,
            source.checkpoint,
            take,
            self.window,
            self.sample,
            self.batch_size,
            str(flow_run.id),
            say,
            opened,
            self.device,
        )


@part("separate layers of a checkpoint", "{part.label}")
def answer_part(part: Part, reader: CloudReader) -> Outcome:
    """Answer one part and publish what was found."""
    outcome = part.answer(reader)
    publish(reader.store)
    get_run_logger().info("%d rows for %d questions in %.1f s", outcome.rows, outcome.questions, outcome.seconds)
    return outcome


def answered(parts: Sequence[Part], asking: Asking, *subjects: str) -> list[Outcome]:
    """What the store lacked of the parts, found. Raises one error for all that failed, after the others were answered."""
    loading = partial(load, device=asking.device, dtype=asking.dtype, trust_remote_code=asking.trust_remote_code)
    networks, opened = LastLoaded(loading), dict[Any, Any]()
    readers = [(one, asking.reader(one.source, networks, opened)) for one in parts]
    todo = [(one, reader) for one, reader in readers if one.lacks(reader)]
    get_run_logger().info("%d of %d parts to do", len(todo), len(parts))
    tag_run(*subjects)
    with progress_shown(artifact_key("progress", *subjects)):
        asked = [(one.label, (one, reader)) for one, reader in todo]
        outcomes, failures = outcomes_of(answer_part, asked, "parts")
    publish(asking.store)
    for model in sorted({one.source.checkpoint.model for one in parts}):
        leave_rows(asking.store, SHOWN, [model], artifact_key("separability", model), f"separability of {model}")
        leave_figure(asking.store, "separability", [model], artifact_key("figure-separability", model), model)
    raise_together(failures, len(todo), "parts could not be answered")
    return outcomes
