"""Rows of edits, of networks under corruptions and of causal traces, without editing anything."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from store_builders import DATASET, FACTS, a_checkpoint, a_run

from service.edit_results import EditFit, EditScore, LayerChange, Robustness
from service.storage import ledger
from service.storage.database import looking
from service.storage.edit_deltas import write_delta
from service.storage.edit_rows import (
    EditRecord,
    Judged,
    Moved,
    Task,
    edit_tables,
    record_trace,
    record_untouched,
)
from service.storage.rows import checkpoint_row, dataset_row, model_row, record_tables, run_row
from service.subjects import Dataset, Edit, content_id

CHECKPOINT = a_checkpoint(100, "edited")
ASKED_ON = Dataset("digits:test", "sklearn digits", "e" * 16, 360, 0, modality="image", licence="BSD-3-Clause")
SAMPLE = content_id("sample", 0)
CORRUPTIONS = (("none", 0), ("noise", 1), ("noise", 3), ("blur", 3))
CLEAN = {"none": 0.9, "noise": 0.8, "blur": 0.7}  # accuracy of the untouched network


def a_task(name="style", exemplars=8):
    return Task(content_id("task", name), name, "image", ASKED_ON.name, exemplars)


def an_edit(
    method="low-rank", seed=0, checkpoint=CHECKPOINT, task="style", layer="blocks.1", rank=None, alpha=None, **other
):
    rank = 2 if method == "low-rank" and rank is None else rank
    settings = {"steps": 40, "learning_rate": 0.01} | other
    return Edit(checkpoint.checkpoint_id, a_task(task).task_id, method, layer, rank, alpha, seed=seed, **settings)


def untouched(accuracies=CLEAN, corruptions=CORRUPTIONS, dataset=ASKED_ON, sample=SAMPLE):
    """How a network that was not edited does, one accuracy a family."""
    found = [Robustness(name, severity, accuracies[name], 0.02, 0.5, 0.05, 200) for name, severity in corruptions]
    return Judged(dataset.name, sample, tuple(found))


def judged(lost=0.05, accuracies=CLEAN, corruptions=CORRUPTIONS, dataset=ASKED_ON, sample=SAMPLE):
    """How an edited network does: everywhere less accurate by `lost`."""
    found = [
        Robustness(name, severity, accuracies[name] - lost, 0.02, 0.6, 0.07, 200, -lost, 0.01)
        for name, severity in corruptions
    ]
    return Judged(dataset.name, sample, tuple(found))


def some_scores(success=0.8):
    return (
        EditScore("success", "exemplars", "none", 0, 0.0, min(success + 0.1, 1.0), 0.1, 8),
        EditScore("success", "held-out", "none", 0, 0.1, success, 0.05, 60),
        EditScore("success", "held-out", "noise", 3, 0.1, success - 0.1, 0.05, 60),
        EditScore("success", "validation", "none", 0, None, 0.99, 0.05, 20),
        EditScore("success", "style stripes", "none", 0, 0.1, success - 0.2, 0.05, 60),
        EditScore("agreement", "unrelated", "none", 0, None, 0.95, 0.02, 100),
        EditScore("errors-corrected", "held-out", "none", 0, None, None, None, 60, "nothing was wrong before"),
    )


def some_changes(layers=3, shift=0.1):
    return tuple(
        LayerChange(layer, f"blocks.{layer}", "residual", *rest)
        for layer in range(layers)
        for rest in (
            ("twonn", 4.0, 4.0 + shift * layer, 0.2, 100),
            ("procrustes_angular", None, shift * layer, 0.01, 100),
        )
    )


def a_record(store, edit, checkpoint=CHECKPOINT, task="style", success=0.8, lost=0.05, minutes=0, **other):
    """An edit with its scores, its robustness, the layers it moved, and a file of weights."""
    fit = EditFit(((0, 2.0), (20, 0.5), (40, 0.1)), 128, True)
    parts = {
        "delta": write_delta(store, edit, f"weights of {edit.edit_id}".encode()),
        "scores": some_scores(success),
        "judged": (judged(lost),),
        "moved": (Moved(ASKED_ON.name, some_changes()),),
        "seconds": 1.5,
    }
    run_id = content_id("run", "edit", edit.edit_id, minutes)
    run = a_run(checkpoint, minutes, run_id=run_id, experiment="edit_networks")
    return EditRecord(run, checkpoint, FACTS, (ASKED_ON,), a_task(task), edit, **({"fit": fit} | parts | other))


def record_together(store, records):
    """Record many edits as one run: a transaction a test, not a transaction an edit."""
    run, checkpoints = records[0].run, {one.checkpoint.checkpoint_id: one.checkpoint for one in records}
    rows = {"datasets": [dataset_row(ASKED_ON)], "runs": [run_row(run, {})]}
    rows["models"] = list({one.model: model_row(one, FACTS) for one in checkpoints.values()}.values())
    rows["checkpoints"] = [checkpoint_row(one, FACTS) for one in checkpoints.values()]
    for record in records:
        for name, found in edit_tables(record).items():
            rows.setdefault(name, []).extend({**row, "run_id": run.run_id} for row in found)
    record_tables(store, run.run_id, {name: ledger.arrow_table(name, found) for name, found in rows.items()})


@dataclass(frozen=True)
class Found:
    """What a causal trace finds, as it comes from elsewhere."""

    layer: int
    place: str
    effect: float
    std_error: float | None
    n: int
    restored: str
    layers: int = 1
    answer: str = " Paris"
    clean_probability: float = 0.9
    note: str | None = None


def a_trace(store, checkpoint=CHECKPOINT, minutes=0):
    kinds = (("state", "last"), ("mlp", "subject-last"))
    effects = [Found(layer, place, 0.1 * layer, 0.02, 10, restored) for layer in (1, 2, 3) for restored, place in kinds]
    run = a_run(checkpoint, 400 + minutes, experiment="trace_causes")
    record_trace(store, run, checkpoint, FACTS, [DATASET], a_task("facts"), effects)


def some_edits(store, checkpoint=CHECKPOINT, seeds=(0, 1, 2)):
    """A network and another one, both judged untouched, edited by three methods for a task by several seeds, and a trace."""
    for place, one in enumerate((checkpoint, a_checkpoint(50, checkpoint.model), a_checkpoint(100, "another"))):
        accuracies = {name: value - 0.1 * place for name, value in CLEAN.items()}
        run = a_run(one, 300, experiment="edit_networks")
        record_untouched(store, run, one, FACTS, [ASKED_ON], [untouched(accuracies)])
    asked = (
        ({"method": "fine-tuning", "layer": None}, 0.8, 0.20),
        ({"method": "low-rank", "rank": 1}, 0.4, 0.01),
        ({"method": "low-rank", "rank": 4}, 0.7, 0.05),
        ({"method": "1-li", "alpha": 0.5}, 0.6, 0.02),
        ({"method": "1-li", "alpha": 1.0}, 0.5, 0.10),
    )
    records = [
        a_record(
            store, an_edit(seed=seed, checkpoint=checkpoint, **settings), checkpoint, success=success + seed / 20,
            lost=lost + seed / 100,
        )
        for seed in seeds
        for settings, success, lost in asked
    ]  # fmt: skip
    record_together(store, records)
    a_trace(store, checkpoint)


def asked(store, query):
    """The rows as dictionaries."""
    with looking(store) as connection:
        return [dict(row._mapping) for row in connection.execute(text(query))]
