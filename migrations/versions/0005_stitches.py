"""What a network loses where its bottom is another's, and how the map between them was trained."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade():
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
        sa.CheckConstraint(
            "map in ('affine', 'identity', 'least-squares', 'linear', 'orthogonal')", name="stitches_map_check"
        ),
        sa.CheckConstraint("isfinite(loss)", name="stitches_loss_finite_check"),
        sa.CheckConstraint("isfinite(penalty)", name="stitches_penalty_finite_check"),
    )
    op.create_table(
        "stitch_curves",
        sa.Column("checkpoint_a", sa.String, nullable=False),
        sa.Column("checkpoint_b", sa.String, nullable=False),
        sa.Column("layer_a", sa.Integer, nullable=False),
        sa.Column("layer_b", sa.Integer, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("map", sa.String, nullable=False),
        sa.Column("texts", sa.String, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("loss", sa.Double),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("texts in ('training', 'held-out')", name="stitch_curves_texts_check"),
        sa.CheckConstraint("isfinite(loss)", name="stitch_curves_loss_finite_check"),
    )


def downgrade():
    op.drop_table("stitch_curves")
    op.drop_table("stitches")
