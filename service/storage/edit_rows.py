"""What was found of edits, of networks under corruptions and of causal traces, as rows, and what is known of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import text

from service.edit_results import EditFit, EditScore, LayerChange, Robustness
from service.results import NetworkFacts
from service.storage import ledger
from service.storage.database import OnWait, Store, looking
from service.storage.edit_deltas import StoredDelta
from service.storage.rows import Run, record_tables, run_row, subject_tables
from service.subjects import Checkpoint, Dataset, Edit

Rows = Sequence[Mapping[str, Any]]
STORED = text(
    "select path, digest from edits join runs using (run_id) where edit_id = :edit_id and path is not null "
    "order by finished_at desc, run_id desc limit 1"
)
JUDGED = text(
    "select distinct corruption, severity from network_robustness where edit_id is null "
    "and checkpoint_id = :checkpoint_id and dataset = :dataset and sample = :sample"
)
TRACED = text(
    "select count(*) from causal_traces "
    "where checkpoint_id = :checkpoint_id and task_id = :task_id and restored = 'mlp'"  # older ones followed the task's target
)


@dataclass(frozen=True)
class Task:
    """What is asked of a network: of images or of texts, shown by how many exemplars."""

    task_id: str
    name: str
    modality: str
    dataset: str
    exemplars: int


@dataclass(frozen=True)
class Judged:
    """How a network does under corruptions on one dataset; `sample` names the items and the seed in 16 hex digits."""

    dataset: str
    sample: str
    found: tuple[Robustness, ...]


@dataclass(frozen=True)
class Moved:
    """Which layers an edit moved, by their states on one dataset."""

    dataset: str
    changes: tuple[LayerChange, ...]


class Effect(Protocol):
    """What restoring something of a layer at a place of the texts brings back, as a causal trace finds it."""

    @property
    def layer(self) -> int: ...
    @property
    def place(self) -> str: ...
    @property
    def effect(self) -> float | None: ...
    @property
    def std_error(self) -> float | None: ...
    @property
    def n(self) -> int: ...
    @property
    def restored(self) -> str: ...
    @property
    def layers(self) -> int: ...
    @property
    def answer(self) -> str: ...
    @property
    def clean_probability(self) -> float: ...
    @property
    def note(self) -> str | None: ...


@dataclass(frozen=True, eq=False)
class EditRecord:
    """A run that edited one network once, and all that it found.

    `datasets` are all that it looked at, the first that of the run. `search` names the search that the edit was tried in,
    None for an edit of its own; `delta` is None where the change of weights was not kept.
    """

    run: Run
    checkpoint: Checkpoint
    facts: NetworkFacts
    datasets: tuple[Dataset, ...]
    task: Task
    edit: Edit
    fit: EditFit
    delta: StoredDelta | None = None
    scores: tuple[EditScore, ...] = ()
    judged: tuple[Judged, ...] = ()
    moved: tuple[Moved, ...] = ()
    search: str | None = None
    seconds: float | None = None


def stored_delta(store: Store, edit_id: str, on_wait: OnWait = None) -> StoredDelta | None:
    """Where the newest change of weights of an edit lies, None where none was kept. Raises StoreBusy."""
    with looking(store, on_wait) as connection:
        row = connection.execute(STORED, {"edit_id": edit_id}).one_or_none()
    return None if row is None else StoredDelta(row.path, row.digest)


def known_robustness(
    store: Store, checkpoint_id: str, dataset: str, sample: str, on_wait: OnWait = None
) -> set[tuple[str, int]]:
    """The corruptions, as (family, severity), under which the untouched network was judged on a sample. Raises StoreBusy."""
    asked = {"checkpoint_id": checkpoint_id, "dataset": dataset, "sample": sample}
    with looking(store, on_wait) as connection:
        return {(row[0], row[1]) for row in connection.execute(JUDGED, asked)}


def is_traced(store: Store, checkpoint_id: str, task_id: str, on_wait: OnWait = None) -> bool:
    """Whether a causal trace of a checkpoint for a task is recorded, of its MLPs too. Raises StoreBusy."""
    asked = {"checkpoint_id": checkpoint_id, "task_id": task_id}
    with looking(store, on_wait) as connection:
        return bool(connection.execute(TRACED, asked).scalar())


def record_edit(store: Store, record: EditRecord, on_wait: OnWait = None) -> None:
    """Record a run that edited a network with all that it found; recording it again changes nothing.

    Raises NetworkMismatch or BadInput where a name stands for something else already, StoreBusy, StoreNotWritable,
    StoreUnreachable, StoreCorrupt.
    """
    _record(store, record.run, record.checkpoint, record.facts, record.datasets, edit_tables(record), on_wait)


def record_untouched(
    store: Store,
    run: Run,
    checkpoint: Checkpoint,
    facts: NetworkFacts,
    datasets: Sequence[Dataset],
    judged: Sequence[Judged],
    on_wait: OnWait = None,
) -> None:
    """Record how a network that was not edited does under corruptions; recording it again changes nothing. Raises as
    `record_edit` does."""
    rows = _robustness_rows(checkpoint.checkpoint_id, None, judged)
    _record(store, run, checkpoint, facts, datasets, {"network_robustness": rows}, on_wait)


def record_trace(
    store: Store,
    run: Run,
    checkpoint: Checkpoint,
    facts: NetworkFacts,
    datasets: Sequence[Dataset],
    task: Task,
    effects: Sequence[Effect],
    on_wait: OnWait = None,
) -> None:
    """Record a causal trace; recording it again changes nothing. Raises as `record_edit` does."""
    about = {"checkpoint_id": checkpoint.checkpoint_id, "task_id": task.task_id, "task": task.name}
    rows = [
        {**about, "layer": one.layer, "place": one.place, "n": one.n}
        | {"effect": _finite(one.effect), "std_error": _finite(one.std_error)}
        | {"restored": one.restored, "restored_layers": one.layers, "note": one.note}
        | {"answer": one.answer, "answer_probability": _finite(one.clean_probability)}
        for one in effects
    ]
    _record(store, run, checkpoint, facts, datasets, {"causal_traces": rows}, on_wait)


def edit_tables(record: EditRecord) -> dict[str, Rows]:
    """The rows of an edit, by table and without the run."""
    own = {"edit_id": record.edit.edit_id}
    return {
        "edits": [_edit_row(record)],
        "edit_curves": [own | {"step": step, "loss": _finite(loss)} for step, loss in record.fit.curve],
        "edit_scores": [own | _row_of(one) for one in record.scores],
        "network_robustness": _robustness_rows(record.edit.checkpoint_id, record.edit.edit_id, record.judged),
        "edit_layers": [
            own | {"dataset": moved.dataset} | _row_of(one) for moved in record.moved for one in moved.changes
        ],
    }


def _edit_row(record: EditRecord) -> dict[str, Any]:
    edit, task, fit = record.edit, record.task, record.fit
    losses = [loss for _, loss in fit.curve]
    return {
        **vars(edit),
        "edit_id": edit.edit_id,
        "task": task.name,
        "modality": task.modality,
        "dataset": task.dataset,
        "exemplars": task.exemplars,
        "search": record.search,
        "changed": fit.changed,
        "converged": fit.converged,
        "loss_before": _finite(losses[0]) if losses else None,
        "loss_after": _finite(losses[-1]) if losses else None,
        "path": record.delta.path if record.delta else None,
        "digest": record.delta.digest if record.delta else None,
        "seconds": record.seconds,
        "note": fit.note,
    }


def _robustness_rows(checkpoint_id: str, edit_id: str | None, judged: Sequence[Judged]) -> list[dict[str, Any]]:
    own = {"checkpoint_id": checkpoint_id, "edit_id": edit_id}
    return [own | {"dataset": on.dataset, "sample": on.sample} | _row_of(one) for on in judged for one in on.found]


def _row_of(found: EditScore | Robustness | LayerChange) -> dict[str, Any]:
    return {name: _finite(value) if isinstance(value, float) else value for name, value in vars(found).items()}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _record(
    store: Store,
    run: Run,
    checkpoint: Checkpoint,
    facts: NetworkFacts,
    datasets: Sequence[Dataset],
    tables: Mapping[str, Rows],
    on_wait: OnWait,
) -> None:
    """Record a run on one checkpoint with its subjects and these rows, to which the run's id is added."""
    about = {"checkpoint_id": checkpoint.checkpoint_id, "dataset": datasets[0].name if datasets else None}
    found: dict[str, Rows] = {
        **subject_tables([(checkpoint, facts)], datasets),
        **{name: [{**row, "run_id": run.run_id} for row in rows] for name, rows in tables.items()},
        "runs": [run_row(run, run.seconds) | about],
    }
    arrow = {name: ledger.arrow_table(name, rows) for name, rows in found.items() if rows}
    record_tables(store, run.run_id, arrow, on_wait)
