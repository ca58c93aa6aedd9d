"""Which training items a concept is owed to, how good such a list is, and what becomes of the concept without them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "attributions",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("attribution_id", sa.String, nullable=False),
        sa.Column("target_item", sa.BigInteger),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("train_item", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("preview", sa.String),
        sa.CheckConstraint("side in ('either', 'least', 'most')", name="attributions_side_check"),
        sa.CheckConstraint("isfinite(score)", name="attributions_score_finite_check"),
    )
    op.create_table(
        "attribution_runs",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("attribution_id", sa.String, nullable=False),
        sa.Column("ensemble", sa.String, nullable=False),
        sa.Column("members", sa.Integer, nullable=False),
        sa.Column("concept_id", sa.String),
        sa.Column("output", sa.String, nullable=False),
        sa.Column("layer", sa.Integer),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("targets", sa.String, nullable=False),
        sa.Column("train_items", sa.BigInteger, nullable=False),
        sa.Column("target_items", sa.BigInteger, nullable=False),
        sa.Column("parameters", sa.BigInteger),
        sa.Column("dimensions", sa.Integer),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.CheckConstraint("output in ('class', 'next-token', 'probe')", name="attribution_runs_output_check"),
    )
    op.create_table(
        "attribution_quality",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("attribution_id", sa.String, nullable=False),
        sa.Column("quality", sa.String, nullable=False),
        sa.Column("judged_by", sa.String, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("note", sa.String),
        sa.CheckConstraint("isfinite(value)", name="attribution_quality_value_finite_check"),
    )
    op.create_table(
        "concept_counterfactuals",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("attribution_id", sa.String, nullable=False),
        sa.Column("ensemble", sa.String, nullable=False),
        sa.Column("concept_id", sa.String, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("positions", sa.String, nullable=False),
        sa.Column("folds", sa.Integer, nullable=False),
        sa.Column("probe_seeds", sa.Integer, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("removal", sa.String, nullable=False),
        sa.Column("removed", sa.BigInteger, nullable=False),
        sa.Column("train_items", sa.BigInteger, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("accuracy", sa.Double),
        sa.CheckConstraint(
            "removal in ('bottom', 'exemplars', 'none', 'random', 'top')", name="concept_counterfactuals_removal_check"
        ),
        sa.CheckConstraint("isfinite(accuracy)", name="concept_counterfactuals_accuracy_finite_check"),
    )


def downgrade():
    for table in ("concept_counterfactuals", "attribution_quality", "attribution_runs", "attributions"):
        op.drop_table(table)
