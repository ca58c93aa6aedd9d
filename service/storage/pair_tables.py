"""The table of what is asked of two sites together."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, Integer, String, Table

from service.storage.metadata import metadata

pair_metrics = Table(
    "pair_metrics",
    metadata,
    Column("site_a", String, nullable=False),
    Column("site_b", String, nullable=False),
    Column("measure", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("variant", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("value", Double),
    Column("std_error", Double),
    Column("null_mean", Double),
    Column("null_std", Double),
    Column("z", Double),
    Column("p", Double),
    Column("permutations", Integer, nullable=False),
    Column("pairs", BigInteger, nullable=False),
    Column("note", String),
    Column("permuted", String),
    CheckConstraint("isfinite(value)", name="value_finite"),
    CheckConstraint("isfinite(std_error)", name="std_error_finite"),
    CheckConstraint("isfinite(z)", name="z_finite"),
)
