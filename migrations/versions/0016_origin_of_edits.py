"""Whose weights a saved edit has that is judged by a task which it was not fitted to."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("alter table edits add column if not exists origin varchar")


def downgrade():
    op.execute("alter table edits drop column if exists origin")
