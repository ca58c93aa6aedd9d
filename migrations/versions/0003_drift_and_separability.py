"""Drift of the layers, and how well they can be told apart."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "checkpoint_metrics",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("variant", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("std_error", sa.Double),
        sa.Column("n_used", sa.BigInteger, nullable=False),
        sa.Column("n_dropped", sa.BigInteger, nullable=False),
        sa.Column("note", sa.String),
        sa.CheckConstraint("isfinite(value)", name="checkpoint_metrics_value_finite_check"),
        sa.CheckConstraint("isfinite(std_error)", name="checkpoint_metrics_std_error_finite_check"),
    )
    op.create_table(
        "drift_points",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("procedure", sa.String, nullable=False),
        sa.Column("reduction", sa.String, nullable=False),
        sa.Column("normalised", sa.Boolean, nullable=False),
        sa.Column("from_layer", sa.Integer, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("item_id", sa.BigInteger, nullable=False),
        sa.Column("char_end", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("x", sa.Double, nullable=False),
        sa.Column("y", sa.Double, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("reduction in ('pca', 'tsne', 'umap')", name="drift_points_reduction_check"),
    )
    op.create_table(
        "separability_scores",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("tested_on", sa.String, nullable=False),
        sa.Column("procedure", sa.String, nullable=False),
        sa.Column("classifier", sa.String, nullable=False),
        sa.Column("from_layer", sa.Integer, nullable=False),
        sa.Column("question", sa.String, nullable=False),
        sa.Column("condition", sa.String, nullable=False),
        sa.Column("amount", sa.Double),
        sa.Column("length", sa.Integer),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("layer", sa.Integer),
        sa.Column("train_texts", sa.BigInteger, nullable=False),
        sa.Column("test_texts", sa.BigInteger, nullable=False),
        sa.Column("n_tested", sa.BigInteger, nullable=False),
        sa.Column("accuracy", sa.Double),
        sa.Column("within_one", sa.Double),
        sa.Column("chance", sa.Double, nullable=False),
        sa.Column("note", sa.String),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("isfinite(accuracy)", name="separability_scores_accuracy_finite_check"),
    )
    op.create_table(
        "separability_confusions",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("procedure", sa.String, nullable=False),
        sa.Column("classifier", sa.String, nullable=False),
        sa.Column("from_layer", sa.Integer, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("predicted", sa.Integer, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
    )
    op.create_table(
        "dimension_contributions",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("procedure", sa.String, nullable=False),
        sa.Column("from_layer", sa.Integer, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("contribution", sa.Double, nullable=False),
        sa.Column("std_error", sa.Double),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("isfinite(contribution)", name="dimension_contributions_contribution_finite_check"),
    )
    op.create_table(
        "top_dimension_overlaps",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("procedure", sa.String, nullable=False),
        sa.Column("from_layer", sa.Integer, nullable=False),
        sa.Column("across", sa.String, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("top", sa.Integer, nullable=False),
        sa.Column("pairs", sa.Integer, nullable=False),
        sa.Column("overlap", sa.Double, nullable=False),
        sa.Column("overlap_low", sa.Double),
        sa.Column("overlap_high", sa.Double),
        sa.Column("chance", sa.Double, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("isfinite(overlap)", name="top_dimension_overlaps_overlap_finite_check"),
    )


def downgrade():
    for table in (
        "top_dimension_overlaps",
        "dimension_contributions",
        "separability_confusions",
        "separability_scores",
        "drift_points",
        "checkpoint_metrics",
    ):
        op.drop_table(table)
