"""The tables of edits: what was changed in a network's weights, how that was fitted, what came of it, and how networks do
under corruptions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Double, Integer, String, Table

from service.storage.metadata import metadata


def _finite(*names: str) -> list[CheckConstraint]:
    return [CheckConstraint(f"isfinite({name})", name=f"{name}_finite") for name in names]


edits = Table(
    "edits",
    metadata,
    Column("edit_id", String, nullable=False),
    Column("checkpoint_id", String, nullable=False),
    Column("task_id", String, nullable=False),
    Column("task", String, nullable=False),
    Column("modality", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("method", String, nullable=False),
    Column("layer", String),
    Column("rank", Integer),
    Column("alpha", Double),
    Column("steps", Integer, nullable=False),
    Column("learning_rate", Double, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("origin", String),
    Column("exemplars", Integer, nullable=False),
    Column("search", String),
    Column("changed", BigInteger, nullable=False),
    Column("converged", Boolean, nullable=False),
    Column("loss_before", Double),
    Column("loss_after", Double),
    Column("path", String),
    Column("digest", String),
    Column("seconds", Double),
    Column("note", String),
    Column("run_id", String, nullable=False),
    Column("variant", String),
    CheckConstraint("modality in ('image', 'text')", name="modality"),
    *_finite("alpha", "loss_before", "loss_after"),
)

edit_curves = Table(
    "edit_curves",
    metadata,
    Column("edit_id", String, nullable=False),
    Column("step", Integer, nullable=False),
    Column("loss", Double),
    Column("run_id", String, nullable=False),
    *_finite("loss"),
)

edit_scores = Table(
    "edit_scores",
    metadata,
    Column("edit_id", String, nullable=False),
    Column("measure", String, nullable=False),
    Column("cases", String, nullable=False),
    Column("corruption", String, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("before", Double),
    Column("value", Double),
    Column("std_error", Double),
    Column("n", BigInteger, nullable=False),
    Column("note", String),
    Column("run_id", String, nullable=False),
    *_finite("before", "value", "std_error"),
)

network_robustness = Table(
    "network_robustness",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("edit_id", String),
    Column("dataset", String, nullable=False),
    Column("sample", String, nullable=False),
    Column("corruption", String, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("accuracy", Double, nullable=False),
    Column("std_error", Double),
    Column("loss", Double),
    Column("calibration_error", Double),
    Column("n", BigInteger, nullable=False),
    Column("change", Double),
    Column("change_std_error", Double),
    Column("run_id", String, nullable=False),
    *_finite("accuracy", "std_error", "loss", "calibration_error", "change", "change_std_error"),
)

edit_layers = Table(
    "edit_layers",
    metadata,
    Column("edit_id", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("layer_name", String),
    Column("stream", String, nullable=False),
    Column("measure", String, nullable=False),
    Column("before", Double),
    Column("after", Double),
    Column("std_error", Double),
    Column("n", BigInteger, nullable=False),
    Column("note", String),
    Column("run_id", String, nullable=False),
    CheckConstraint("stream in ('embedding', 'residual', 'final')", name="stream"),
    *_finite("before", "after", "std_error"),
)

causal_traces = Table(
    "causal_traces",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("task_id", String, nullable=False),
    Column("task", String, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("place", String, nullable=False),
    Column("effect", Double),
    Column("std_error", Double),
    Column("n", BigInteger, nullable=False),
    Column("run_id", String, nullable=False),
    Column("restored", String),
    Column("restored_layers", Integer),
    Column("answer", String),
    Column("answer_probability", Double),
    Column("note", String),
    *_finite("effect", "std_error"),
)
