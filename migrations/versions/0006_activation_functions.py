"""Which activation function a network has, so that stitching can be told apart by it."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("alter table models add column if not exists activation varchar")


def downgrade():
    pass  # DuckDB takes no column from a table that another refers to
