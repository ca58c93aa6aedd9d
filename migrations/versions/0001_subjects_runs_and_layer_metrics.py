"""Subjects, runs, activation summaries, layer metrics and losses."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "models",
        sa.Column("model", sa.String, nullable=False),
        sa.Column("family", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("layers", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("parameters", sa.BigInteger, nullable=False),
        sa.Column("seed", sa.BigInteger),
        sa.PrimaryKeyConstraint("model", name="models_model_pkey"),
        sa.CheckConstraint("kind in ('decoder', 'encoder', 'vision')", name="models_kind_check"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("step", sa.BigInteger),
        sa.Column("revision", sa.String, nullable=False),
        sa.Column("tokens_seen", sa.BigInteger),
        sa.Column("weights_digest", sa.String),
        sa.PrimaryKeyConstraint("checkpoint_id", name="checkpoints_checkpoint_id_pkey"),
        sa.ForeignKeyConstraint(["model"], ["models.model"], name="checkpoints_model_fkey"),
        sa.UniqueConstraint("model", "step", name="checkpoints_model_step_key"),
    )
    op.create_table(
        "datasets",
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("revision", sa.String),
        sa.Column("split", sa.String),
        sa.Column("modality", sa.String, nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("characters", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("licence", sa.String),
        sa.PrimaryKeyConstraint("dataset", name="datasets_dataset_pkey"),
    )
    op.create_table(
        "measures",
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("lower", sa.Double),
        sa.Column("upper", sa.Double),
        sa.Column("symmetric", sa.Boolean),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("std_error", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("measure", "version", name="measures_measure_version_pkey"),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("experiment", sa.String, nullable=False),
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("parameters", sa.String, nullable=False),
        sa.Column("code_version", sa.String, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("prefect_flow_run_id", sa.String),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime, nullable=False),
        sa.Column("seconds_load", sa.Double),
        sa.Column("seconds_extract", sa.Double),
        sa.Column("seconds_measure", sa.Double),
        sa.Column("seconds_record", sa.Double),
        sa.PrimaryKeyConstraint("run_id", name="runs_run_id_pkey"),
    )
    op.create_table(
        "activations",
        sa.Column("site_id", sa.String, nullable=False),
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("layer", sa.Integer, nullable=False),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("hidden_state_index", sa.Integer),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("dtype", sa.String, nullable=False),
        sa.Column("attention", sa.String, nullable=False),
        sa.Column("tokens_seen", sa.BigInteger, nullable=False),
        sa.Column("non_finite", sa.BigInteger, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("site_id", name="activations_site_id_pkey"),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoints.checkpoint_id"], name="activations_checkpoint_id_fkey"
        ),
        sa.UniqueConstraint(
            "checkpoint_id", "dataset", "layer", "stream", name="activations_checkpoint_id_dataset_layer_stream_key"
        ),
        sa.CheckConstraint("stream in ('embedding', 'residual', 'final')", name="activations_stream_check"),
    )
    op.create_table(
        "layer_metrics",
        sa.Column("site_id", sa.String, nullable=False),
        sa.Column("measure", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("variant", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("std_error", sa.Double),
        sa.Column("n_used", sa.BigInteger, nullable=False),
        sa.Column("n_dropped", sa.BigInteger, nullable=False),
        sa.Column("note", sa.String),
        sa.CheckConstraint("isfinite(value)", name="layer_metrics_value_finite_check"),
        sa.CheckConstraint("isfinite(std_error)", name="layer_metrics_std_error_finite_check"),
    )
    op.create_table(
        "checkpoint_losses",
        sa.Column("checkpoint_id", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("loss", sa.Double),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "checkpoint_id", "dataset", "run_id", name="checkpoint_losses_checkpoint_id_dataset_run_id_pkey"
        ),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoints.checkpoint_id"], name="checkpoint_losses_checkpoint_id_fkey"
        ),
        sa.CheckConstraint("isfinite(loss)", name="checkpoint_losses_loss_finite_check"),
    )


def downgrade():
    for table in (
        "checkpoint_losses",
        "layer_metrics",
        "activations",
        "runs",
        "measures",
        "datasets",
        "checkpoints",
        "models",
    ):
        op.drop_table(table)
