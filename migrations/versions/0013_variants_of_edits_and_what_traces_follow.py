"""Whether an edit was fitted as its authors' code does it; what a causal trace restored, and which answer it followed: the
network's own, where earlier ones took that of the task."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ADDED = (
    ("restored", "varchar"),
    ("restored_layers", "integer"),
    ("answer", "varchar"),
    ("answer_probability", "double"),
    ("note", "varchar"),
)


def upgrade():
    op.execute("alter table edits add column if not exists variant varchar")
    for name, kind in ADDED:
        op.execute(f"alter table causal_traces add column if not exists {name} {kind}")


def downgrade():
    op.execute("delete from causal_traces where restored = 'mlp'")  # the tables before know states alone
    for name, _ in ADDED:
        op.execute(f"alter table causal_traces drop column if exists {name}")
    op.execute("alter table edits drop column if exists variant")
