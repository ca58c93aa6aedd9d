"""Which module of a vision network a site is, since its layers are chosen by name."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("alter table activations add column if not exists layer_name varchar")


def downgrade():
    op.execute("alter table activations drop column if exists layer_name")
