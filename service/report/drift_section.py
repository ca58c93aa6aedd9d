"""The path of the layers, as a section of the report."""

from __future__ import annotations

from service.report.charts import Chart, Listing, Section, by_layer

LAST_STEP = "qualify dense_rank() over (partition by model, dataset order by step desc nulls last, revision) = 1"
POINTS = (
    "select layer, x, y, item_id, char_end, position\nfrom lab.drift_points\n{where}\n  and procedure = 'corrected'"
    " and reduction = 'pca' and normalised and from_layer = 0\n" + LAST_STEP + "\norder by layer, item_id, char_end"
)
PATH_OF_THE_LAYERS = Section(
    "The path of the layers",
    "Where the clouds of the layers lie: how far each cloud's centroid moves to the next layer, against the spread within a "
    "layer, by which angle it turns, and whether the norm grows exponentially with depth. First tokens are left out of the "
    "points.",
    (
        by_layer(
            "Step to the next layer over the spread within",
            "layer_drift",
            "step_over_spread",
            "step_over_spread_std_error",
            "step / spread",
        ),
        by_layer(
            "Angle between the steps into and out of a layer",
            "layer_drift",
            "step_angle",
            "step_angle_std_error",
            "degrees: 0 straight on, 180 straight back",
        ),
        Chart(
            title="Growth of the norm with depth, over training",
            query="select step + 1 as step_plus_1, model, revision, rate, rate_std_error, r_squared_exponential,\n"
            "       r_squared_linear\nfrom lab.norm_growth\n{where}\n  and step is not null\norder by model, step",
            x="step_plus_1",
            y="rate",
            x_title="training step + 1",
            y_title="nats a layer",
            series="model",
            one_per=("dataset",),
            subjects="lab.norm_growth",
            error="rate_std_error",
            level=0.0,
            logarithmic="x",
        ),
        Chart(
            title="All layers on one plane (PCA of vectors scaled to length 1, last step)",
            query=POINTS,
            x="x",
            y="y",
            x_title="component 1",
            y_title="component 2",
            series="layer",
            subjects="lab.drift_points",
            kind="points",
        ),
    ),
    (
        Listing(
            "Does the norm grow exponentially with depth?",
            "select model, step, dataset, rate, rate_std_error, doubling_layers, r_squared_exponential, r_squared_linear,\n"
            "       note\nfrom lab.norm_growth\n{where}\norder by model, step, dataset",
            ("model", "dataset"),
        ),
        Listing(
            "As released and as corrected",
            "select model, step, dataset, layer, step_over_spread_released, step_over_spread_corrected,\n"
            "       step_angle_released, step_angle_corrected, plane_released, plane_corrected\n"
            "from lab.drift_released_and_corrected\n{where}\norder by model, step, dataset, layer",
            ("model", "dataset"),
        ),
    ),
)
