"""The tables, in schema ``main``: private. People read the views of schema ``lab``.

Facts are append-only with the run in the row, and a view takes the newest. ``layer_metrics`` has no primary key: on two
million rows one made the file fourteen times larger and inserts six times slower, and a run is recorded whole and once.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from service.storage import attribution_tables, concept_tables, edit_tables, layer_tables, pair_tables, stitch_tables
from service.storage.metadata import metadata

__all__ = [
    "attribution_tables",
    "concept_tables",
    "edit_tables",
    "layer_tables",
    "metadata",
    "pair_tables",
    "stitch_tables",
]

models = Table(
    "models",
    metadata,
    Column("model", String, primary_key=True),
    Column("family", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("layers", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("parameters", BigInteger, nullable=False),
    Column("seed", BigInteger),
    Column("activation", String),
    CheckConstraint("kind in ('decoder', 'encoder', 'vision')", name="kind"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("checkpoint_id", String, primary_key=True),
    Column("model", String, ForeignKey("models.model"), nullable=False),
    Column("step", BigInteger),
    Column("revision", String, nullable=False),
    Column("tokens_seen", BigInteger),
    Column("weights_digest", String),
    UniqueConstraint("model", "step"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("dataset", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("revision", String),
    Column("split", String),
    Column("modality", String, nullable=False),
    Column("items", BigInteger, nullable=False),
    Column("characters", BigInteger, nullable=False),
    Column("digest", String, nullable=False),
    Column("licence", String),
)

measures = Table(
    "measures",
    metadata,
    Column("measure", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("subject", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("lower", Double),
    Column("upper", Double),
    Column("symmetric", Boolean),
    Column("source", String, nullable=False),
    Column("std_error", String, nullable=False),
    Column("larger_is_more_alike", Boolean),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("experiment", String, nullable=False),
    Column("checkpoint_id", String),
    Column("dataset", String),
    Column("parameters", String, nullable=False),
    Column("code_version", String, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("device", String, nullable=False),
    Column("prefect_flow_run_id", String),
    Column("started_at", DateTime, nullable=False),
    Column("finished_at", DateTime, nullable=False),
    Column("seconds_load", Double),
    Column("seconds_extract", Double),
    Column("seconds_measure", Double),
    Column("seconds_record", Double),
    Column("model", String),
)

activations = Table(
    "activations",
    metadata,
    Column("site_id", String, primary_key=True),
    Column("checkpoint_id", String, ForeignKey("checkpoints.checkpoint_id"), nullable=False),
    Column("dataset", String, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("stream", String, nullable=False),
    Column("hidden_state_index", Integer),
    Column("points", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("dtype", String, nullable=False),
    Column("attention", String, nullable=False),
    Column("tokens_seen", BigInteger, nullable=False),
    Column("non_finite", BigInteger, nullable=False),
    Column("path", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("layer_name", String),
    UniqueConstraint("checkpoint_id", "dataset", "layer", "stream"),
    CheckConstraint("stream in ('embedding', 'residual', 'final')", name="stream"),
)

layer_metrics = Table(
    "layer_metrics",
    metadata,
    Column("site_id", String, nullable=False),
    Column("measure", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("variant", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("value", Double),
    Column("std_error", Double),
    Column("n_used", BigInteger, nullable=False),
    Column("n_dropped", BigInteger, nullable=False),
    Column("note", String),
    CheckConstraint("isfinite(value)", name="value_finite"),
    CheckConstraint("isfinite(std_error)", name="std_error_finite"),
)

checkpoint_losses = Table(
    "checkpoint_losses",
    metadata,
    Column("checkpoint_id", String, ForeignKey("checkpoints.checkpoint_id"), primary_key=True),
    Column("dataset", String, primary_key=True),
    Column("run_id", String, primary_key=True),
    Column("loss", Double),
    Column("tokens", BigInteger, nullable=False),
    CheckConstraint("isfinite(loss)", name="loss_finite"),
)

training_losses = Table(
    "training_losses",
    metadata,
    Column("model", String, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("run_id", String, nullable=False),
    Column("loss", Double),
    Column("gradient_norm", Double),
    Column("update_norm", Double),
    Column("learning_rate", Double),
    Column("source", String, nullable=False),
    CheckConstraint("isfinite(loss)", name="loss_finite"),
    CheckConstraint("isfinite(gradient_norm)", name="gradient_norm_finite"),
    CheckConstraint("isfinite(update_norm)", name="update_norm_finite"),
    CheckConstraint("isfinite(learning_rate)", name="learning_rate_finite"),
)

training_metrics = Table(
    "training_metrics",
    metadata,
    Column("model", String, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("dataset", String, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("stream", String, nullable=False),
    Column("measure", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("variant", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("value", Double),
    Column("std_error", Double),
    Column("n_used", BigInteger, nullable=False),
    Column("n_dropped", BigInteger, nullable=False),
    Column("note", String),
    CheckConstraint("stream in ('embedding', 'residual', 'final')", name="stream"),
    CheckConstraint("isfinite(value)", name="value_finite"),
    CheckConstraint("isfinite(std_error)", name="std_error_finite"),
)

early_warning_scores = Table(
    "early_warning_scores",
    metadata,
    Column("study", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("signal", String, nullable=False),
    Column("horizon", Integer, nullable=False),
    Column("run_id", String, nullable=False),
    Column("trainings", Integer, nullable=False),
    Column("spikes", Integer, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("auroc", Double),
    Column("auroc_low", Double),
    Column("auroc_high", Double),
    Column("precision_at_alarms", Double),
    Column("recall_at_alarms", Double),
    Column("false_alarms_per_1000_steps", Double),
    Column("note", String),
    CheckConstraint("isfinite(auroc)", name="auroc_finite"),
)
