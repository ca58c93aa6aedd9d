"""Loss curves, what is measured inside a running training, and the scores of early warnings."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("runs", sa.Column("model", sa.String))
    op.alter_column("runs", "checkpoint_id", nullable=True)
    op.alter_column("runs", "dataset", nullable=True)
    op.create_table(
        "training_losses",
        sa.Column("model", sa.String, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("loss", sa.Double),
        sa.Column("gradient_norm", sa.Double),
        sa.Column("update_norm", sa.Double),
        sa.Column("learning_rate", sa.Double),
        sa.Column("source", sa.String, nullable=False),
        sa.CheckConstraint("isfinite(loss)", name="training_losses_loss_finite_check"),
        sa.CheckConstraint("isfinite(gradient_norm)", name="training_losses_gradient_norm_finite_check"),
        sa.CheckConstraint("isfinite(update_norm)", name="training_losses_update_norm_finite_check"),
        sa.CheckConstraint("isfinite(learning_rate)", name="training_losses_learning_rate_finite_check"),
    )
    op.create_table(
        "training_metrics",
        sa.Column("model", sa.String, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("variant", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("std_error", sa.Double),
        sa.Column("n_used", sa.BigInteger, nullable=False),
        sa.Column("n_dropped", sa.BigInteger, nullable=False),
        sa.Column("note", sa.String),
        sa.CheckConstraint("stream in ('embedding', 'residual', 'final')", name="training_metrics_stream_check"),
        sa.CheckConstraint("isfinite(value)", name="training_metrics_value_finite_check"),
        sa.CheckConstraint("isfinite(std_error)", name="training_metrics_std_error_finite_check"),
    )
    op.create_table(
        "early_warning_scores",
        sa.Column("study", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("signal", sa.String, nullable=False),
        sa.Column("horizon", sa.Integer, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("trainings", sa.Integer, nullable=False),
        sa.Column("spikes", sa.Integer, nullable=False),
        sa.Column("steps", sa.BigInteger, nullable=False),
        sa.Column("auroc", sa.Double),
        sa.Column("auroc_low", sa.Double),
        sa.Column("auroc_high", sa.Double),
        sa.Column("precision_at_alarms", sa.Double),
        sa.Column("recall_at_alarms", sa.Double),
        sa.Column("false_alarms_per_1000_steps", sa.Double),
        sa.Column("note", sa.String),
        sa.CheckConstraint("isfinite(auroc)", name="early_warning_scores_auroc_finite_check"),
    )


def downgrade():
    for table in ("early_warning_scores", "training_metrics", "training_losses"):
        op.drop_table(table)
    op.execute("delete from runs where checkpoint_id is null or dataset is null")
    op.alter_column("runs", "dataset", nullable=False)
    op.alter_column("runs", "checkpoint_id", nullable=False)
    op.drop_column("runs", "model")
