"""How the clouds of the layers drift with depth, at one checkpoint: load, measure, reduce, record; what is recorded is not
done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import BadInput
from service.experiments.drift_rows import MEASURED, NORMS, SEED, drift_rows
from service.experiments.layer_clouds import LayerClouds, layer_clouds
from service.experiments.measure_layers import Stopwatch
from service.experiments.measure_rows import measure_rows
from service.experiments.progress import tell_waiting
from service.experiments.runs import ended_run, now
from service.measures import find
from service.networks.checkpoints import CheckpointSource, Network, find_checkpoints
from service.networks.datasets import Choice, Items, open_dataset
from service.settings import Settings
from service.storage.database import OnWait, Store, open_store, publish
from service.storage.finding_rows import Findings, record_findings, unrecorded
from service.subjects import Checkpoint

EXPERIMENT = "drift_layers"
POINTS = 200  # of each layer that are drawn
FEWEST_POINTS = 10


@dataclass(frozen=True)
class DriftQuestion:
    """The path of the layers on a dataset, `points` of each layer drawn; `as_released` adds the study's own procedure beside
    the corrected one. Raises BadInput."""

    items: Items
    sample: int
    points: int = POINTS
    as_released: bool = False

    def __post_init__(self) -> None:
        if self.points < FEWEST_POINTS:
            raise BadInput(f"--points needs {FEWEST_POINTS} or more of each layer; got {self.points}")

    @property
    def procedures(self) -> tuple[str, ...]:
        """One run is recorded of each."""
        return ("corrected", "released") if self.as_released else ("corrected",)

    def parameters(self, procedure: str) -> dict[str, Any]:
        """What a run of a procedure is recorded with."""
        return {
            "dataset": self.items.dataset.name,
            "sample": self.sample,
            "points": self.points,
            "as_released": procedure == "released",
        }


@dataclass(frozen=True)
class Drifted:
    """What was done for one checkpoint: `rows` of metrics and points, in `seconds`."""

    checkpoint: Checkpoint
    rows: int
    seconds: float


def ask(
    dataset: str,
    texts: int | None = None,
    length: int | None = None,
    sample: int | None = None,
    points: int = POINTS,
    as_released: bool = False,
) -> DriftQuestion:
    """The question that a command line or a deployment's parameters put. Raises UnknownName, BadInput."""
    choice = Choice(texts, length)
    items = open_dataset(dataset, sample=sample, choice=choice)
    return DriftQuestion(items, sample or choice.sample, points, as_released)


def missing(store: Store, checkpoint: Checkpoint, question: DriftQuestion, on_wait: OnWait = None) -> tuple[str, ...]:
    """The procedures that are not recorded of a checkpoint. Raises StoreBusy."""
    dataset = question.items.dataset.name
    wanted = {procedure: (dataset, question.parameters(procedure)) for procedure in question.procedures}
    return tuple(unrecorded(store, EXPERIMENT, checkpoint.checkpoint_id, wanted, on_wait))


@dataclass(frozen=True)
class DriftPlan:
    """The checkpoints that were asked for on a dataset, and those of them that something is missing of."""

    model: str
    dataset: str
    sources: tuple[CheckpointSource, ...]
    todo: tuple[CheckpointSource, ...]

    def answer(self, found: Sequence[Drifted]) -> dict[str, Any]:
        """What was done, for machines, with one `line` for people."""
        there, rows = len(self.sources) - len(self.todo), sum(one.rows for one in found)
        done = f"{len(found)} checkpoints measured, {rows:,} rows" if found else "nothing is missing"
        already = f"; {there} of {len(self.sources)} checkpoints already measured" if there else ""
        return {
            "model": self.model,
            "dataset": self.dataset,
            "checkpoints": len(self.sources),
            "already_measured": there,
            "rows": rows,
            "seconds": round(sum(one.seconds for one in found), 3),
            "line": f"{self.model} on {self.dataset}: {done}{already}",
        }


def plan(
    settings: Settings, model: str, revisions: Sequence[str], dataset: str, name: str | None, asked: Mapping[str, Any]
) -> DriftPlan:
    """What is asked and what of it is missing; opens the store, loads no network.

    Raises UnknownName, BadInput, NetworkMismatch, StoreBusy, StoreNotMigrated, StoreNotWritable.
    """
    question, sources = ask(dataset, **asked), find_checkpoints(model, revisions, name)
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    todo = tuple(source for source in sources if missing(store, source.checkpoint, question, tell_waiting))
    if not todo:
        publish(store, tell_waiting)
    return DriftPlan(sources[0].checkpoint.model, question.items.dataset.name, tuple(sources), todo)


def drift_checkpoint(
    store: Store,
    checkpoint: Checkpoint,
    question: DriftQuestion,
    network: Callable[[], Network],
    *,
    batch_size: int | None = None,
    flow_run_id: str | None = None,
    on_wait: OnWait = None,
) -> Drifted:
    """Measure the drift of one checkpoint and record one run a procedure; `network` is called only where there are no
    summaries.

    Raises BadInput (fewer than two blocks, states that cannot be worked with), NetworkMismatch, StoreBusy.
    """
    lacking = missing(store, checkpoint, question, on_wait)
    if not lacking:
        return Drifted(checkpoint, 0, 0.0)
    watch, rows = Stopwatch(), 0
    with watch.stage("extract"):
        found = layer_clouds(
            store,
            checkpoint,
            question.items,
            question.sample,
            network,
            batch_size=batch_size,
            flow_run_id=flow_run_id,
            on_wait=on_wait,
        )
    for procedure in lacking:
        findings = _findings(found, question, procedure, flow_run_id)
        record_findings(store, findings, on_wait)
        rows += findings.rows
        watch.seconds[procedure] = findings.run.seconds["measure"]
    return Drifted(checkpoint, rows, sum(watch.seconds.values()))


def _findings(found: LayerClouds, question: DriftQuestion, procedure: str, flow_run_id: str | None) -> Findings:
    begun, watch = now(), Stopwatch()
    parameters, checkpoint_id = question.parameters(procedure), found.checkpoint.checkpoint_id
    with watch.stage("measure"):
        tables = drift_rows(found, procedure, question.points)
    run = ended_run(
        EXPERIMENT,
        parameters,
        begun,
        checkpoint_id,
        device=found.facts.device,
        flow_run_id=flow_run_id,
        seed=SEED,
        seconds=watch.seconds,
    )
    return Findings(run, checkpoint_id, found.dataset, tables, measure_rows([*MEASURED, *map(find, NORMS)]))
