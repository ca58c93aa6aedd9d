"""The tables of stitched networks: what a map between two of them costs, and how its training went."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Double, Integer, String, Table

from service.storage.metadata import metadata

stitches = Table(
    "stitches",
    metadata,
    Column("checkpoint_a", String, nullable=False),
    Column("checkpoint_b", String, nullable=False),
    Column("layer_a", Integer, nullable=False),
    Column("layer_b", Integer, nullable=False),
    Column("dataset", String, nullable=False),
    Column("map", String, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("run_id", String, nullable=False),
    Column("loss", Double),
    Column("loss_of_b", Double),
    Column("penalty", Double),
    Column("penalty_std_error", Double),
    Column("accuracy", Double, nullable=False),
    Column("accuracy_of_b", Double, nullable=False),
    Column("accuracy_std_error", Double),
    Column("converged", Boolean),
    Column("tokens", BigInteger, nullable=False),
    Column("windows", Integer, nullable=False),
    Column("note", String),
    CheckConstraint("map in ('affine', 'identity', 'least-squares', 'linear', 'orthogonal', 'procrustes')", name="map"),
    CheckConstraint("isfinite(loss)", name="loss_finite"),
    CheckConstraint("isfinite(penalty)", name="penalty_finite"),
)

stitch_curves = Table(
    "stitch_curves",
    metadata,
    Column("checkpoint_a", String, nullable=False),
    Column("checkpoint_b", String, nullable=False),
    Column("layer_a", Integer, nullable=False),
    Column("layer_b", Integer, nullable=False),
    Column("dataset", String, nullable=False),
    Column("map", String, nullable=False),
    Column("texts", String, nullable=False),
    Column("step", Integer, nullable=False),
    Column("loss", Double),
    Column("run_id", String, nullable=False),
    CheckConstraint("texts in ('training', 'held-out')", name="texts"),
    CheckConstraint("isfinite(loss)", name="loss_finite"),
)
