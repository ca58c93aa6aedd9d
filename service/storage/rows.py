"""A run, everything it found, and how it becomes rows: the ledger first, the database second."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from service.results import LayerResult, LossResult, NetworkFacts, Summary
from service.storage import feeding, ledger
from service.storage.database import Store, writing
from service.storage.faults import naming_faults
from service.storage.schema import metadata
from service.subjects import Checkpoint, Dataset

if TYPE_CHECKING:
    from service.storage.activations import StoredSummary

STAGES = ("load", "extract", "measure", "record")


@dataclass(frozen=True)
class Run:
    """One experiment on one checkpoint. Times are naive UTC; `seconds` are spent by stage (load, extract, measure,
    record), and a stage that did not happen is not in it."""

    run_id: str
    experiment: str
    parameters: Mapping[str, Any]
    code_version: str
    seed: int
    device: str
    prefect_flow_run_id: str | None
    started_at: datetime
    finished_at: datetime
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Entry:
    """A run and all that it found: `measures` as rows of that table, `summaries` those that it wrote or adopted."""

    run: Run
    checkpoint: Checkpoint
    facts: NetworkFacts
    dataset: Dataset
    measures: Sequence[Mapping[str, Any]]
    summaries: Sequence[tuple[Summary, StoredSummary]]
    results: Sequence[LayerResult]
    loss: LossResult | None = None


@dataclass(frozen=True, eq=False)
class RunRows:
    """A run as the rows of its tables: small, and fit to be sent from the process that measured to the one that records."""

    run_id: str
    tables: ledger.Tables


def rows_of(entry: Entry) -> RunRows:
    """A run and all that it found as rows."""
    begun = time.perf_counter()
    tables = fact_tables(entry)
    tables["runs"] = run_table(entry, {"record": time.perf_counter() - begun})
    return RunRows(entry.run.run_id, tables)


def record(store: Store, entry: Entry | RunRows, on_wait: Callable[[str], None] | None = None) -> None:
    """Record a run in the ledger and in the database; recording it again changes nothing.

    Raises NetworkMismatch or BadInput where a name already stands for something else (then nothing is recorded),
    StoreBusy, StoreNotWritable, StoreUnreachable, StoreCorrupt.
    """
    rows = entry if isinstance(entry, RunRows) else rows_of(entry)
    record_tables(store, rows.run_id, rows.tables, on_wait)


def record_tables(
    store: Store, run_id: str, tables: ledger.Tables, on_wait: Callable[[str], None] | None = None
) -> None:
    """`record` for a run that is rows already."""
    with (
        naming_faults(store.name),
        ledger.drafted(store.ledger, run_id, tables) as draft,
        writing(store, on_wait) as connection,
    ):
        feeding.catch_up(connection, store.ledger)
        if run_id not in feeding.recorded_runs(connection):
            feeding.insert(connection, tables)
            ledger.enter(store.ledger, draft)  # before the commit: what the database has, the ledger has


def fact_tables(entry: Entry) -> dict[str, pa.Table]:
    """Everything that a run found, by table; a table without rows is not there."""
    rows: dict[str, Sequence[Mapping[str, Any]]] = {
        "models": [model_row(entry.checkpoint, entry.facts)],
        "checkpoints": [checkpoint_row(entry.checkpoint, entry.facts)],
        "datasets": [dataset_row(entry.dataset)],
        "measures": entry.measures,
        "activations": [_activation_row(entry.run, *pair) for pair in entry.summaries],
        "checkpoint_losses": [_loss_row(entry.run, entry.loss)] if entry.loss else [],
    }
    tables = {name: ledger.arrow_table(name, found) for name, found in rows.items() if found}
    tables["layer_metrics"] = metric_table(entry.run.run_id, entry.results)
    return tables


def metric_table(run_id: str, results: Sequence[LayerResult]) -> pa.Table:
    """Results as rows of ``layer_metrics``, column by column: a million of them take seconds, not minutes."""
    estimates = [result.estimate for result in results]
    columns: dict[str, list[Any]] = {
        "site_id": [result.site_id for result in results],
        "measure": [result.measure for result in results],
        "version": [result.version for result in results],
        "variant": [result.variant for result in results],
        "run_id": [run_id] * len(results),
        "value": [estimate.value for estimate in estimates],
        "std_error": [estimate.std_error for estimate in estimates],
        "n_used": [estimate.n_used for estimate in estimates],
        "n_dropped": [estimate.n_dropped for estimate in estimates],
        "note": [estimate.note for estimate in estimates],
    }
    return pa.table(columns, schema=ledger.arrow_schema(metadata.tables["layer_metrics"]))


def subject_tables(
    networks: Sequence[tuple[Checkpoint, NetworkFacts]], datasets: Sequence[Dataset]
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """What the tables of models, checkpoints and datasets hold of what a run was of, each once."""
    models = {checkpoint.model: model_row(checkpoint, facts) for checkpoint, facts in networks}
    checkpoints = {checkpoint.checkpoint_id: checkpoint_row(checkpoint, facts) for checkpoint, facts in networks}
    named = {dataset.name: dataset_row(dataset) for dataset in datasets}
    found = {"models": models, "checkpoints": checkpoints, "datasets": named}
    return {table: list(rows.values()) for table, rows in found.items()}


def model_row(checkpoint: Checkpoint, facts: NetworkFacts) -> dict[str, Any]:
    """What the table of models holds of a checkpoint's."""
    return {
        "model": checkpoint.model,
        "family": facts.family,
        "kind": facts.kind,
        "layers": facts.layers,
        "width": facts.width,
        "parameters": facts.parameters,
        "seed": facts.seed,
        "activation": facts.activation,
    }


def checkpoint_row(checkpoint: Checkpoint, facts: NetworkFacts) -> dict[str, Any]:
    """What the table of checkpoints holds of one."""
    return {
        "checkpoint_id": checkpoint.checkpoint_id,
        "model": checkpoint.model,
        "step": checkpoint.step,
        "revision": checkpoint.revision,
        "weights_digest": facts.weights_digest,
    }


def dataset_row(dataset: Dataset) -> dict[str, Any]:
    """What the table of datasets holds of one."""
    return {
        "dataset": dataset.name,
        "source": dataset.source,
        "revision": dataset.revision,
        "split": dataset.split,
        "modality": dataset.modality,
        "items": dataset.items,
        "characters": dataset.characters,
        "digest": dataset.digest,
        "licence": dataset.licence,
    }


def run_table(entry: Entry, seconds: Mapping[str, float]) -> pa.Table:
    """The run itself as a row; `seconds` of the stages that the run does not name."""
    row = run_row(entry.run, {**seconds, **entry.run.seconds})
    row |= {"checkpoint_id": entry.checkpoint.checkpoint_id, "dataset": entry.dataset.name}
    return ledger.arrow_table("runs", [row])


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """Parameters as the table of runs holds them: the same ones, the same text."""
    return json.dumps(dict(parameters), sort_keys=True, default=str)


def run_row(run: Run, seconds: Mapping[str, float]) -> dict[str, Any]:
    """What the table of runs holds of a run, whatever it was of."""
    return {
        "run_id": run.run_id,
        "experiment": run.experiment,
        "parameters": parameters_text(run.parameters),
        "code_version": run.code_version,
        "seed": run.seed,
        "device": run.device,
        "prefect_flow_run_id": run.prefect_flow_run_id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        **{f"seconds_{stage}": seconds.get(stage) for stage in STAGES},
    }


def _activation_row(run: Run, summary: Summary, stored: StoredSummary) -> dict[str, Any]:
    return {
        "site_id": stored.site_id,
        "checkpoint_id": summary.site.checkpoint.checkpoint_id,
        "dataset": summary.site.dataset,
        "layer": summary.site.layer,
        "stream": summary.site.stream,
        "hidden_state_index": summary.hidden_state_index,
        "points": stored.points,
        "width": stored.width,
        "dtype": stored.dtype,
        "attention": summary.facts.attention,
        "tokens_seen": summary.tokens_seen,
        "non_finite": summary.non_finite,
        "path": stored.path,
        "digest": stored.digest,
        "run_id": run.run_id,
        "layer_name": summary.layer_name,
    }


def _loss_row(run: Run, loss: LossResult) -> dict[str, Any]:
    return {
        "checkpoint_id": loss.checkpoint_id,
        "dataset": loss.dataset,
        "run_id": run.run_id,
        "loss": loss.loss if math.isfinite(loss.loss) else None,
        "tokens": loss.tokens,
    }
