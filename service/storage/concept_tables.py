"""The tables of concepts: what is called one, whose networks form an ensemble, and what probes found and agree on."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Double, Integer, String, Table

from service.storage.metadata import metadata


def _finite(*names: str) -> list[CheckConstraint]:
    return [CheckConstraint(f"isfinite({name})", name=f"{name}_finite") for name in names]


concepts = Table(
    "concepts",
    metadata,
    Column("concept_id", String, primary_key=True),
    Column("concept", String, nullable=False),
    Column("definition", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("labels_digest", String, nullable=False),
    Column("items", BigInteger, nullable=False),
    Column("positives", BigInteger, nullable=False),
)

concept_ensembles = Table(
    "concept_ensembles",
    metadata,
    Column("ensemble", String, nullable=False),
    Column("concept_id", String, nullable=False),
    Column("checkpoint_id", String, nullable=False),
    Column("run_id", String, nullable=False),
)

concept_probes = Table(
    "concept_probes",
    metadata,
    Column("checkpoint_id", String, nullable=False),
    Column("site_id", String, nullable=False),
    Column("concept_id", String, nullable=False),
    Column("positions", String, nullable=False),
    Column("penalty", String, nullable=False),
    Column("strength", Double, nullable=False),
    Column("folds", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("labels", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("accuracy", Double),
    Column("balanced_accuracy", Double),
    Column("auroc", Double),
    Column("chance", Double),
    Column("positives", Double),
    Column("n_train", BigInteger, nullable=False),
    Column("n_test", BigInteger, nullable=False),
    Column("share_of_weights_50", Double),
    Column("share_of_weights_90", Double),
    Column("nonzero", Integer),
    Column("converged", Boolean),
    Column("note", String),
    CheckConstraint("penalty in ('l1', 'l2')", name="penalty"),
    CheckConstraint("labels in ('real', 'shuffled')", name="labels"),
    *_finite("accuracy", "balanced_accuracy", "auroc", "share_of_weights_50", "share_of_weights_90"),
)

concept_agreements = Table(
    "concept_agreements",
    metadata,
    Column("concept_id", String, nullable=False),
    Column("ensemble", String),
    Column("between", String, nullable=False),
    Column("checkpoint_a", String, nullable=False),
    Column("checkpoint_b", String, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("seed_a", Integer, nullable=False),
    Column("seed_b", Integer, nullable=False),
    Column("positions", String, nullable=False),
    Column("folds", Integer, nullable=False),
    Column("run_id", String, nullable=False),
    Column("cosine", Double),
    Column("width", Integer),
    Column("margin_correlation", Double),
    Column("places", BigInteger, nullable=False),
    Column("other_concept_id", String),
    CheckConstraint("between in ('concepts', 'members', 'retrained', 'seeds', 'steps')", name="between"),
    *_finite("cosine", "margin_correlation"),
)
