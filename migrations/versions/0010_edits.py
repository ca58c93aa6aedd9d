"""Edits of networks: how they were fitted, what they do, how robust the network is after, and which layers moved."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "edits",
        sa.Column("edit_id", sa.String, nullable=False),
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("modality", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("layer", sa.String),
        sa.Column("rank", sa.Integer),
        sa.Column("alpha", sa.Double),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("learning_rate", sa.Double, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("exemplars", sa.Integer, nullable=False),
        sa.Column("search", sa.String),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("converged", sa.Boolean, nullable=False),
        sa.Column("loss_before", sa.Double),
        sa.Column("loss_after", sa.Double),
        sa.Column("path", sa.String),
        sa.Column("digest", sa.String),
        sa.Column("seconds", sa.Double),
        sa.Column("note", sa.String),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("modality in ('image', 'text')", name="edits_modality_check"),
        sa.CheckConstraint("isfinite(alpha)", name="edits_alpha_finite_check"),
        sa.CheckConstraint("isfinite(loss_before)", name="edits_loss_before_finite_check"),
        sa.CheckConstraint("isfinite(loss_after)", name="edits_loss_after_finite_check"),
    )
    op.create_table(
        "edit_curves",
        sa.Column("edit_id", sa.String, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("loss", sa.Double),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("isfinite(loss)", name="edit_curves_loss_finite_check"),
    )
    op.create_table(
        "edit_scores",
        sa.Column("edit_id", sa.String, nullable=False),
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("cases", sa.String, nullable=False),
        sa.Column("corruption", sa.String, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("before", sa.Double),
        sa.Column("value", sa.Double),
        sa.Column("std_error", sa.Double),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("note", sa.String),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("isfinite(before)", name="edit_scores_before_finite_check"),
        sa.CheckConstraint("isfinite(value)", name="edit_scores_value_finite_check"),
        sa.CheckConstraint("isfinite(std_error)", name="edit_scores_std_error_finite_check"),
    )
    op.create_table(
        "network_robustness",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("edit_id", sa.String),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("sample", sa.String, nullable=False),
        sa.Column("corruption", sa.String, nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("accuracy", sa.Double, nullable=False),
        sa.Column("std_error", sa.Double),
        sa.Column("loss", sa.Double),
        sa.Column("calibration_error", sa.Double),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("change", sa.Double),
        sa.Column("change_std_error", sa.Double),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("isfinite(accuracy)", name="network_robustness_accuracy_finite_check"),
        sa.CheckConstraint("isfinite(std_error)", name="network_robustness_std_error_finite_check"),
        sa.CheckConstraint("isfinite(loss)", name="network_robustness_loss_finite_check"),
        sa.CheckConstraint("isfinite(calibration_error)", name="network_robustness_calibration_error_finite_check"),
        sa.CheckConstraint("isfinite(change)", name="network_robustness_change_finite_check"),
        sa.CheckConstraint("isfinite(change_std_error)", name="network_robustness_change_std_error_finite_check"),
    )
    op.create_table(
        "edit_layers",
        sa.Column("edit_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("layer_name", sa.String),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("before", sa.Double),
        sa.Column("after", sa.Double),
        sa.Column("std_error", sa.Double),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("note", sa.String),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("stream in ('embedding', 'residual', 'final')", name="edit_layers_stream_check"),
        sa.CheckConstraint("isfinite(before)", name="edit_layers_before_finite_check"),
        sa.CheckConstraint("isfinite(after)", name="edit_layers_after_finite_check"),
        sa.CheckConstraint("isfinite(std_error)", name="edit_layers_std_error_finite_check"),
    )
    op.create_table(
        "causal_traces",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("task_id", sa.String, nullable=False),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("place", sa.String, nullable=False),
        sa.Column("effect", sa.Double),
        sa.Column("std_error", sa.Double),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.CheckConstraint("isfinite(effect)", name="causal_traces_effect_finite_check"),
        sa.CheckConstraint("isfinite(std_error)", name="causal_traces_std_error_finite_check"),
    )


def downgrade():
    for table in ("causal_traces", "edit_layers", "network_robustness", "edit_scores", "edit_curves", "edits"):
        op.drop_table(table)
