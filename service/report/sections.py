"""What the report shows: each figure as the SQL that makes it and how its columns are drawn."""

from __future__ import annotations

from service.report.charts import Chart, Listing, Section, by_layer
from service.report.concept_section import LOCATION, ORIGIN, TRUST
from service.report.drift_section import PATH_OF_THE_LAYERS
from service.report.edit_section import BROKEN, TRADE_OFF
from service.report.removal_section import REMOVAL
from service.report.separability_section import SEPARABILITY
from service.report.similarity_section import SIMILARITY
from service.report.stitching_section import STITCHING

SECTIONS = (
    Section(
        "The shape of the layers",
        "How the cloud of hidden states is stretched, how many dimensions it uses and how long its vectors are, layer by "
        "layer and checkpoint by checkpoint.",
        (
            by_layer(
                "Anisotropy", "anisotropy_by_layer", "anisotropy", "std_error", "share of variance along one line"
            ),
            by_layer(
                "Intrinsic dimension (TwoNN)", "intrinsic_dimension_by_layer", "twonn", "std_error", "dimensions", "y"
            ),
            by_layer("Norms of hidden states", "norms_by_layer", "norm_mean", "norm_mean_std_error", "mean norm", "y"),
            Chart(
                title="Intrinsic dimension over training",
                query="select step + 1 as step_plus_1, layer, stream, twonn, std_error\n"
                "from lab.intrinsic_dimension_by_layer\n{where}\n"
                "  and step is not null\norder by layer, step",
                x="step_plus_1",
                y="twonn",
                x_title="training step + 1",
                y_title="dimensions",
                series="layer",
                subjects="lab.intrinsic_dimension_by_layer",
                error="std_error",
                logarithmic="x",
            ),
            Chart(
                title="Cross-entropy of the checkpoints",
                query="select step + 1 as step_plus_1, model, revision, loss, tokens\nfrom lab.loss_by_checkpoint\n{where}\n"
                "  and step is not null\norder by model, step",
                x="step_plus_1",
                y="loss",
                x_title="training step + 1",
                y_title="nats per token",
                series="model",
                one_per=("dataset",),
                subjects="lab.loss_by_checkpoint",
                logarithmic="x",
            ),
        ),
    ),
    PATH_OF_THE_LAYERS,
    SEPARABILITY,
    SIMILARITY,
    STITCHING,
    LOCATION,
    ORIGIN,
    TRUST,
    REMOVAL,
    TRADE_OFF,
    BROKEN,
    Section(
        "As released and as corrected",
        "Published procedures beside their corrected forms, where both were measured.",
        tables=(
            Listing(
                "Both procedures",
                "select model, step, dataset, measure, layer, released, corrected, difference, corrected_std_error\n"
                "from lab.released_and_corrected\n{where}\norder by model, step, dataset, measure, layer",
                ("model", "dataset"),
            ),
        ),
    ),
    Section(
        "Training",
        "Loss curves with their spikes, and the geometry that was measured inside the running training. A spike is a loss "
        "above mean + 6 standard deviations of the 128 logged before it.",
        (
            Chart(
                title="Loss",
                query="select l.step, l.loss, l.gradient_norm, l.learning_rate, s.step is not null as spike\n"
                "from lab.training_losses l\nleft join lab.loss_spikes s using (model, step)\n{where}\norder by l.step",
                x="step",
                y="loss",
                x_title="training step",
                y_title="nats per token",
                one_per=("model",),
                subjects="lab.training_losses",
                marks="spike",
            ),
            Chart(
                title="Intrinsic dimension while training",
                query="select step, layer, stream, twonn, std_error, median_before\nfrom lab.training_geometry\n{where}\n"
                "order by layer, step",
                x="step",
                y="twonn",
                x_title="training step",
                y_title="dimensions",
                series="layer",
                subjects="lab.training_geometry",
            ),
        ),
        (
            Listing(
                "Loss spikes",
                "select model, step, last_step, expected, sigma, highest_loss, not_finite\nfrom lab.loss_spikes\n{where}\n"
                "order by model, step",
                ("model",),
            ),
        ),
    ),
    Section(
        "Before loss spikes",
        "Does the intrinsic dimension grow before the loss explodes? Its excess over the median of the 20 probes before, in "
        "the 200 steps before every spike: median and quartiles over spikes.",
        (
            Chart(
                title="Excess of the intrinsic dimension before spikes",
                query="select -steps_before as steps, layer, median(excess_in_std_errors) as excess,\n"
                "       quantile_cont(excess_in_std_errors, 0.25) as low, quantile_cont(excess_in_std_errors, 0.75) as high,\n"
                "       count(*) as spikes\nfrom lab.intrinsic_dimension_before_loss_spikes\n{where}\n"
                "  and isfinite(excess_in_std_errors)\ngroup by all\norder by layer, steps",
                x="steps",
                y="excess",
                x_title="steps before the spike",
                y_title="standard errors over the trend",
                series="layer",
                one_per=(),
                subjects="lab.intrinsic_dimension_before_loss_spikes",
                low="low",
                high="high",
                level=0.0,
            ),
        ),
    ),
    Section(
        "What foretells a loss spike",
        "Area under the ROC curve of each signal for spikes within a horizon, over trainings with and without spikes, with "
        "95 % intervals by bootstrap over trainings. Against time-shuffled labels any signal should stand at 0.5.",
        (
            Chart(
                title="Early warning",
                query="select signal, horizon, auroc, auroc_low, auroc_high, precision_at_alarms, recall_at_alarms,\n"
                "       trainings, spikes\nfrom lab.early_warning_scores\n{where}\n"
                "  and cause = 'all' and auroc is not null\norder by horizon, signal",
                x="auroc",
                y="signal",
                x_title="area under the ROC curve",
                y_title="",
                series="horizon",
                one_per=("study",),
                subjects="lab.early_warning_scores",
                kind="points",
                low="auroc_low",
                high="auroc_high",
                level=0.5,
            ),
        ),
        (
            Listing(
                "All scores",
                "select study, cause, signal, horizon, trainings, spikes, auroc, auroc_low, auroc_high, precision_at_alarms,\n"
                "       recall_at_alarms, note\nfrom lab.early_warning_scores\n{where}\norder by study, cause, horizon, signal",
                ("study",),
            ),
        ),
    ),
    Section(
        "What the store holds",
        "Models, datasets and runs.",
        tables=(
            Listing("Models", "select * from lab.models\n{where}\norder by model", ("model",)),
            Listing("Datasets", "select * from lab.datasets\n{where}\norder by dataset", ("dataset",)),
            Listing(
                "Runs",
                "select started_at, experiment, model, step, dataset, seconds, device, code_version, run_id\n"
                "from lab.runs\n{where}\norder by started_at desc",
                ("model", "dataset"),
            ),
        ),
    ),
)
