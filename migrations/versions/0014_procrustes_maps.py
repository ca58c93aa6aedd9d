"""Stitches by the closed form of the orthogonal map."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BEFORE = ("affine", "identity", "least-squares", "linear", "orthogonal")


def upgrade():
    make_again((*BEFORE, "procrustes"))


def downgrade():
    op.execute("delete from stitches where map = 'procrustes'")
    make_again(BEFORE)


def make_again(maps):
    """The table with another list of maps: DuckDB alters no check."""
    op.rename_table("stitches", "stitches_before")
    op.create_table(
        "stitches",
        sa.Column("checkpoint_a", sa.String, nullable=False),
        sa.Column("checkpoint_b", sa.String, nullable=False),
        sa.Column("layer_a", sa.Integer, nullable=False),
        sa.Column("layer_b", sa.Integer, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("map", sa.String, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("loss", sa.Double),
        sa.Column("loss_of_b", sa.Double),
        sa.Column("penalty", sa.Double),
        sa.Column("penalty_std_error", sa.Double),
        sa.Column("accuracy", sa.Double, nullable=False),
        sa.Column("accuracy_of_b", sa.Double, nullable=False),
        sa.Column("accuracy_std_error", sa.Double),
        sa.Column("converged", sa.Boolean),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("windows", sa.Integer, nullable=False),
        sa.Column("note", sa.String),
        sa.CheckConstraint(f"map in {maps}", name="stitches_map_check"),
        sa.CheckConstraint("isfinite(loss)", name="stitches_loss_finite_check"),
        sa.CheckConstraint("isfinite(penalty)", name="stitches_penalty_finite_check"),
    )
    op.execute("insert into stitches by name select * from stitches_before")
    op.drop_table("stitches_before")
