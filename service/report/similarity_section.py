"""Do two networks think alike? As a section of the report."""

from __future__ import annotations

from service.report.charts import Chart, Listing, Section

SIMILARITY = Section(
    "Do two networks think alike?",
    "All layers of one network against all layers of another, at the places of the same texts where both end a token. Every "
    "value stands beside what random pairings of the same states give: an alignment of 0.7 may be chance.",
    (
        Chart(
            title="Nearest layers",
            query="select layer_a, model_a || ' to ' || model_b || ', ' || measure as networks, layer_b, value, null_mean, z,\n"
            "       monotone\nfrom lab.nearest_layer\n"
            "{where}\n  and positions = 'all' and without_top = 0\norder by networks, layer_a",
            x="layer_a",
            y="layer_b",
            x_title="layer of the first network",
            y_title="nearest layer of the second",
            series="networks",
            one_per=(),
            subjects="lab.nearest_layer",
        ),
    ),
    (
        Listing(
            "Nearest layers",
            "select model_a, step_a, layer_a, model_b, step_b, layer_b, dataset, measure, positions, without_top, value,\n"
            "       null_mean, z, margin, monotone, pairs\nfrom lab.nearest_layer\n{where}\n"
            "order by model_a, model_b, dataset, measure, positions, without_top, step_a, step_b, layer_a",
            ("dataset", "model_a", "model_b"),
        ),
        Listing(
            "All pairs of layers",
            "select model_a, step_a, layer_a, model_b, step_b, layer_b, dataset, measure, positions, without_top, value,\n"
            "       null_mean, above_null, z, p, pairs, note\nfrom lab.network_dissimilarity\n{where}\n"
            "order by model_a, model_b, dataset, measure, positions, without_top, step_a, step_b, layer_a, layer_b",
            ("dataset", "model_a", "model_b"),
        ),
    ),
)
