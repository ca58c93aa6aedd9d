"""What is one network's layer worth to another? As a section of the report."""

from __future__ import annotations

from service.report.charts import Chart, Listing, Section

NEWEST = (
    "qualify dense_rank() over (order by step_a desc nulls last, step_b desc nulls last, revision_a, revision_b) = 1"
)
STITCHING = Section(
    "What is one network's layer worth to another?",
    "The first network up to a layer, a map, and the second network from the block after a layer of its own: the loss on texts "
    "that the map was not trained on, less the second network's own loss. At 0 nothing is lost, below 0 the first network's "
    "features help. What the identity loses and a trained map does not is a matter of coordinates alone. A map that had not "
    "converged may lose less than it seems to.",
    (
        Chart(
            title="Penalty by pair of layers",
            query="select map, layer_a || ' to ' || layer_b as layers, penalty, penalty_std_error, converged, steps,\n"
            "       accuracy_change, step_a, step_b, tokens\nfrom lab.stitching\n{where}\n  and penalty is not null\n"
            f"{NEWEST}\norder by layer_a, layer_b, map",
            x="layers",
            y="penalty",
            x_title="last layer of the first network, layer that the second goes on after",
            y_title="nats a token",
            series="map",
            one_per=("model_a", "model_b", "dataset"),
            subjects="lab.stitching",
            error="penalty_std_error",
            level=0.0,
        ),
        Chart(
            title="Training of the maps: loss on held-out texts",
            query="select map || ', ' || layer_a || ' to ' || layer_b as stitch, step, loss, step_a, step_b\n"
            f"from lab.stitching_curves\n{{where}}\n  and texts = 'held-out'\n{NEWEST}\norder by layer_a, layer_b, map, step",
            x="step",
            y="loss",
            x_title="optimiser steps of the map",
            y_title="nats per token",
            series="stitch",
            one_per=("model_a", "model_b", "dataset"),
            subjects="lab.stitching_curves",
        ),
    ),
    (
        Listing(
            "All stitches",
            "select model_a, step_a, layer_a, model_b, step_b, layer_b, dataset, map, steps, penalty, penalty_std_error,\n"
            "       loss, loss_of_b, accuracy_change, accuracy_std_error, converged, tokens, windows, note\n"
            "from lab.stitching\n{where}\norder by model_a, model_b, dataset, step_a, step_b, layer_a, layer_b, map",
            ("dataset", "model_a", "model_b"),
        ),
    ),
)
