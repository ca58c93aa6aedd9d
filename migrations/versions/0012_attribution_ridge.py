"""How an attribution's gradients were projected and its kernel regularised, and removals that are matched by class."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE, OLD = "concept_counterfactuals", "concept_counterfactuals_before"
REMOVALS = "'bottom', 'exemplars', 'none', 'random', 'top'"


def upgrade():
    op.add_column("attribution_runs", sa.Column("projection", sa.String))
    op.add_column("attribution_runs", sa.Column("ridge", sa.Double))
    _allow(f"'class-matched', {REMOVALS}")


def downgrade():
    op.execute(f"delete from {TABLE} where removal = 'class-matched'")
    _allow(REMOVALS)
    op.drop_column("attribution_runs", "ridge")
    op.drop_column("attribution_runs", "projection")


def _allow(removals):
    """Make the table anew: DuckDB changes no check of one that is there."""
    op.rename_table(TABLE, OLD)
    op.create_table(
        TABLE,
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
        sa.CheckConstraint(f"removal in ({removals})", name="concept_counterfactuals_removal_check"),
        sa.CheckConstraint("isfinite(accuracy)", name="concept_counterfactuals_accuracy_finite_check"),
    )
    op.execute(f"insert into {TABLE} by name from {OLD}")
    op.drop_table(OLD)
