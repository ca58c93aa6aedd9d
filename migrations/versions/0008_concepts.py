"""Concepts, and what linear probes find of them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def finite(table, *names):
    return [sa.CheckConstraint(f"isfinite({name})", name=f"{table}_{name}_finite_check") for name in names]


def upgrade():
    op.create_table(
        "concepts",
        sa.Column("concept_id", sa.String, primary_key=True),
        sa.Column("concept", sa.String, nullable=False),
        sa.Column("definition", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("labels_digest", sa.String, nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("positives", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "concept_ensembles",
        sa.Column("ensemble", sa.String, nullable=False),
        sa.Column("concept_id", sa.String, nullable=False),
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
    )
    op.create_table(
        "concept_probes",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("site_id", sa.String, nullable=False),
        sa.Column("concept_id", sa.String, nullable=False),
        sa.Column("positions", sa.String, nullable=False),
        sa.Column("penalty", sa.String, nullable=False),
        sa.Column("strength", sa.Double, nullable=False),
        sa.Column("folds", sa.Integer, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("labels", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("accuracy", sa.Double),
        sa.Column("balanced_accuracy", sa.Double),
        sa.Column("auroc", sa.Double),
        sa.Column("chance", sa.Double),
        sa.Column("positives", sa.Double),
        sa.Column("n_train", sa.BigInteger, nullable=False),
        sa.Column("n_test", sa.BigInteger, nullable=False),
        sa.Column("share_of_weights_50", sa.Double),
        sa.Column("share_of_weights_90", sa.Double),
        sa.Column("nonzero", sa.Integer),
        sa.Column("converged", sa.Boolean),
        sa.Column("note", sa.String),
        sa.CheckConstraint("penalty in ('l1', 'l2')", name="concept_probes_penalty_check"),
        sa.CheckConstraint("labels in ('real', 'shuffled')", name="concept_probes_labels_check"),
        *finite(
            "concept_probes", "accuracy", "balanced_accuracy", "auroc", "share_of_weights_50", "share_of_weights_90"
        ),
    )
    op.create_table(
        "concept_agreements",
        sa.Column("concept_id", sa.String, nullable=False),
        sa.Column("ensemble", sa.String),
        sa.Column("between", sa.String, nullable=False),
        sa.Column("checkpoint_a", sa.String, nullable=False),
        sa.Column("checkpoint_b", sa.String, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("seed_a", sa.Integer, nullable=False),
        sa.Column("seed_b", sa.Integer, nullable=False),
        sa.Column("positions", sa.String, nullable=False),
        sa.Column("folds", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("cosine", sa.Double),
        sa.Column("width", sa.Integer),
        sa.Column("margin_correlation", sa.Double),
        sa.Column("places", sa.BigInteger, nullable=False),
        sa.CheckConstraint("between in ('members', 'seeds')", name="concept_agreements_between_check"),
        *finite("concept_agreements", "cosine", "margin_correlation"),
    )


def downgrade():
    for table in ("concept_agreements", "concept_probes", "concept_ensembles", "concepts"):
        op.drop_table(table)
