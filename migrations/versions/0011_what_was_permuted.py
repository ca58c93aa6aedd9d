"""Whether a null of two networks is of whole texts in another order or of single points."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("pair_metrics", sa.Column("permuted", sa.String))


def downgrade():
    op.drop_column("pair_metrics", "permuted")
