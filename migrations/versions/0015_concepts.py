"""Which checkpoint each network of a counterfactual was before its first step; probes that are compared between the checkpoints
of a model, between concepts, and between networks trained with and without some items."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("alter table concept_counterfactuals add column if not exists untrained_checkpoint_id varchar")
    agreements("'concepts', 'members', 'retrained', 'seeds', 'steps'", sa.Column("other_concept_id", sa.String))


def downgrade():
    op.execute("delete from concept_agreements where between not in ('members', 'seeds')")
    op.execute("alter table concept_agreements drop column other_concept_id")
    agreements("'members', 'seeds'")
    op.execute("alter table concept_counterfactuals drop column if exists untrained_checkpoint_id")


def agreements(kinds, *more):
    """Make the table anew with these kinds and columns, and with the rows it had: DuckDB cannot change a check."""
    op.create_table(
        "concept_agreements_anew",
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
        *more,
        sa.CheckConstraint(f"between in ({kinds})", name="concept_agreements_between_check"),
        sa.CheckConstraint("isfinite(cosine)", name="concept_agreements_cosine_finite_check"),
        sa.CheckConstraint("isfinite(margin_correlation)", name="concept_agreements_margin_correlation_finite_check"),
    )
    op.execute("insert into concept_agreements_anew by name select * from concept_agreements")
    op.drop_table("concept_agreements")
    op.rename_table("concept_agreements_anew", "concept_agreements")
