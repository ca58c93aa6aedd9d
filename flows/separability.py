"""What the flows of separability share: one task a part of a study, whose failures do not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.artifacts import artifact_key, leave_figure, leave_rows, tag_run
from flows.failures import in_one_line, interruption, raise_together, worth_retrying
from flows.measure_layers import say
from flows.networks import LastLoaded
from flows.progress_artifact import progress_shown
from service.experiments.layer_clouds import CloudReader
from service.experiments.progress import Progress, tell
from service.experiments.separability_study import Part
from service.experiments.separate_layers import Outcome
from service.networks.checkpoints import CheckpointSource, load
from service.storage.database import Store, publish

__all__ = ["Asking", "answered", "in_one_line"]

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
        identity = str(flow_run.id) if flow_run.id else None
        return CloudReader(
            self.store,
            source.checkpoint,
            take,
            self.window,
            self.sample,
            self.batch_size,
            identity,
            say,
            opened,
            self.device,
        )


@task(
    name="separate layers of a checkpoint",
    task_run_name="{part.label}",
    tags=["gpu"],
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
    persist_result=False,
)
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
    readers = [(part, asking.reader(part.source, networks, opened)) for part in parts]
    todo = [(part, reader) for part, reader in readers if part.lacks(reader)]
    get_run_logger().info("%d of %d parts to do", len(todo), len(parts))
    tag_run(*subjects)
    outcomes: list[Outcome] = []
    failures: list[BaseException] = []
    with progress_shown(artifact_key("progress", *subjects)):
        for done, (part, reader) in enumerate(todo):
            tell(Progress("checkpoints", part.label, done, len(todo), "parts"))
            result = answer_part(part, reader, return_state=True).result(raise_on_failure=False)
            if isinstance(result, Outcome):
                outcomes.append(result)
            elif interrupted := interruption(result):
                raise interrupted
            else:
                failures.append(result)
        tell(Progress("checkpoints", "", len(todo), len(todo), "parts"))
    publish(asking.store)
    for model in sorted({part.source.checkpoint.model for part in parts}):
        leave_rows(asking.store, SHOWN, [model], artifact_key("separability", model), f"separability of {model}")
        leave_figure(asking.store, "separability", [model], artifact_key("figure-separability", model), model)
    raise_together(failures, len(todo), "parts could not be answered")
    return outcomes
