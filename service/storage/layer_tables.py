"""The tables of what is asked of all layers together: their drift, and whether they can be told apart."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Double, Integer, String, Table

from service.storage.metadata import metadata

checkpoint_metrics = Table(
    "checkpoint_metrics",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("dataset", String, nullable=False),
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

drift_points = Table(
    "drift_points",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("procedure", String, nullable=False),
    Column("reduction", String, nullable=False),
    Column("normalised", Boolean, nullable=False),
    Column("from_layer", Integer, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("item_id", BigInteger, nullable=False),
    Column("char_end", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("x", Double, nullable=False),
    Column("y", Double, nullable=False),
    Column("run_id", String, nullable=False),
    CheckConstraint("reduction in ('pca', 'tsne', 'umap')", name="reduction"),
)

separability_scores = Table(
    "separability_scores",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("tested_on", String, nullable=False),
    Column("procedure", String, nullable=False),
    Column("classifier", String, nullable=False),
    Column("from_layer", Integer, nullable=False),
    Column("question", String, nullable=False),
    Column("condition", String, nullable=False),
    Column("amount", Double),
    Column("length", Integer),
    Column("seed", Integer, nullable=False),
    Column("layer", Integer),
    Column("train_texts", BigInteger, nullable=False),
    Column("test_texts", BigInteger, nullable=False),
    Column("n_tested", BigInteger, nullable=False),
    Column("accuracy", Double),
    Column("within_one", Double),
    Column("chance", Double, nullable=False),
    Column("note", String),
    Column("run_id", String, nullable=False),
    CheckConstraint("isfinite(accuracy)", name="accuracy_finite"),
)

separability_confusions = Table(
    "separability_confusions",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("procedure", String, nullable=False),
    Column("classifier", String, nullable=False),
    Column("from_layer", Integer, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("predicted", Integer, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("run_id", String, nullable=False),
)

dimension_contributions = Table(
    "dimension_contributions",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("procedure", String, nullable=False),
    Column("from_layer", Integer, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("contribution", Double, nullable=False),
    Column("std_error", Double),
    Column("rank", Integer, nullable=False),
    Column("run_id", String, nullable=False),
    CheckConstraint("isfinite(contribution)", name="contribution_finite"),
)

top_dimension_overlaps = Table(
    "top_dimension_overlaps",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("procedure", String, nullable=False),
    Column("from_layer", Integer, nullable=False),
    Column("across", String, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("top", Integer, nullable=False),
    Column("pairs", Integer, nullable=False),
    Column("overlap", Double, nullable=False),
    Column("overlap_low", Double),
    Column("overlap_high", Double),
    Column("chance", Double, nullable=False),
    Column("run_id", String, nullable=False),
    CheckConstraint("isfinite(overlap)", name="overlap_finite"),
)
