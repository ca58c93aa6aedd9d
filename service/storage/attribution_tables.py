"""The tables of attributions: which training items a concept or a prediction is owed to, how good such a list is, and what
becomes of the concept where they are taken away."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, Integer, String, Table

from service.storage.metadata import metadata

attributions = Table(
    "attributions",
    metadata,
    Column("run_id", String, nullable=False),
    Column("attribution_id", String, nullable=False),
    Column("target_item", BigInteger),
    Column("side", String, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("train_item", BigInteger, nullable=False),
    Column("score", Double, nullable=False),
    Column("preview", String),
    CheckConstraint("side in ('either', 'least', 'most')", name="side"),
    CheckConstraint("isfinite(score)", name="score_finite"),
)

attribution_runs = Table(
    "attribution_runs",
    metadata,
    Column("run_id", String, nullable=False),
    Column("attribution_id", String, nullable=False),
    Column("ensemble", String, nullable=False),
    Column("members", Integer, nullable=False),
    Column("concept_id", String),
    Column("output", String, nullable=False),
    Column("layer", Integer),
    Column("method", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("targets", String, nullable=False),
    Column("train_items", BigInteger, nullable=False),
    Column("target_items", BigInteger, nullable=False),
    Column("parameters", BigInteger),
    Column("dimensions", Integer),
    Column("projection", String),
    Column("ridge", Double),
    Column("path", String, nullable=False),
    Column("digest", String, nullable=False),
    CheckConstraint("output in ('class', 'next-token', 'probe')", name="output"),
)

attribution_quality = Table(
    "attribution_quality",
    metadata,
    Column("run_id", String, nullable=False),
    Column("attribution_id", String, nullable=False),
    Column("quality", String, nullable=False),
    Column("judged_by", String, nullable=False),
    Column("value", Double),
    Column("low", Double),
    Column("high", Double),
    Column("n", Integer, nullable=False),
    Column("note", String),
    CheckConstraint("isfinite(value)", name="value_finite"),
)

concept_counterfactuals = Table(
    "concept_counterfactuals",
    metadata,
    Column("run_id", String, nullable=False),
    Column("attribution_id", String, nullable=False),
    Column("ensemble", String, nullable=False),
    Column("concept_id", String, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("method", String, nullable=False),
    Column("positions", String, nullable=False),
    Column("folds", Integer, nullable=False),
    Column("probe_seeds", Integer, nullable=False),
    Column("dataset", String, nullable=False),
    Column("removal", String, nullable=False),
    Column("removed", BigInteger, nullable=False),
    Column("train_items", BigInteger, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("checkpoint_id", String, nullable=False),
    Column("accuracy", Double),
    Column("untrained_checkpoint_id", String),
    CheckConstraint("removal in ('bottom', 'class-matched', 'exemplars', 'none', 'random', 'top')", name="removal"),
    CheckConstraint("isfinite(accuracy)", name="accuracy_finite"),
)
