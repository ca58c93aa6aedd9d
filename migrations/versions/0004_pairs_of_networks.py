"""What two networks have in common, layer against layer."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("measures", sa.Column("larger_is_more_alike", sa.Boolean))
    op.create_table(
        "pair_metrics",
        sa.Column("site_a", sa.String, nullable=False),
        sa.Column("site_b", sa.String, nullable=False),
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("variant", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("std_error", sa.Double),
        sa.Column("null_mean", sa.Double),
        sa.Column("null_std", sa.Double),
        sa.Column("z", sa.Double),
        sa.Column("p", sa.Double),
        sa.Column("permutations", sa.Integer, nullable=False),
        sa.Column("pairs", sa.BigInteger, nullable=False),
        sa.Column("note", sa.String),
        sa.CheckConstraint("isfinite(value)", name="pair_metrics_value_finite_check"),
        sa.CheckConstraint("isfinite(std_error)", name="pair_metrics_std_error_finite_check"),
        sa.CheckConstraint("isfinite(z)", name="pair_metrics_z_finite_check"),
    )


def downgrade():
    op.drop_table("pair_metrics")
    op.drop_column("measures", "larger_is_more_alike")
