"""Do two networks think alike? As a section of the report."""

from __future__ import annotations

from service.report.charts import Chart, Listing, Section
from service.report.network_distances import DISTANCES

SIMILARITY = Section(
    "Do two networks think alike?",
    "All layers of one network against all layers of another, at the places of the same texts where both end a token. Every "
    "value stands beside what random pairings of the same states give: an alignment of 0.7 may be chance. On the map, near is "
    "alike: its points are layers, a line joins those of a network, and the hollow end is layer 0.",
    (
        Chart(
            title="Map of the networks",
            query=DISTANCES,
            x="",
            y="distance",
            x_title="",
            y_title="",
            one_per=("dataset",),
            subjects="lab.network_dissimilarity",
            kind="map",
        ),
        Chart(
            title="All pairs of layers, brighter where more alike",
            query="select measure, layer_a, layer_b, value, above_null, z, larger_is_more_alike, step_a, step_b, without_top\n"
            "from lab.network_dissimilarity\n{where}\n  and positions = 'all'\n"
            "qualify dense_rank() over (order by step_a desc nulls last, step_b desc nulls last, revision_a, revision_b,\n"
            "  without_top) = 1\norder by measure, layer_a, layer_b",
            x="layer_b",
            y="layer_a",
            x_title="layer of the second network",
            y_title="layer of the first network",
            series="measure",
            one_per=("model_a", "model_b", "dataset"),
            subjects="lab.network_dissimilarity",
            kind="cells",
            value="value",
            above_null="above_null",
            brighter_above="larger_is_more_alike",
        ),
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
