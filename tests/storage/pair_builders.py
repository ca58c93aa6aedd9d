"""Rows of two networks that were compared, without comparing them."""

from __future__ import annotations

from store_builders import DATASET, FACTS, a_run

from service.experiments.measure_rows import measure_rows
from service.measures import find_pair
from service.results import CurvePoint, Estimate, Null, PairResult, StitchResult
from service.storage.coverage import recorded_sites
from service.storage.finding_rows import Findings
from service.storage.pair_rows import pair_rows
from service.storage.stitch_rows import Stitched


def some_pairs(store, first, second):
    """All layers of two recorded checkpoints against each other, by one measure."""
    sides = [recorded_sites(store, one.checkpoint_id, DATASET.name) for one in (first, second)]
    results = [
        PairResult(
            a.site_id,
            b.site_id,
            "linear_cka",
            1,
            "all",
            Estimate(1 / (1 + abs(a.layer - b.layer)), None, 99),
            Null(0.1, 0.01, 40.0, 0.1, 9),
        )
        for a in sides[0]
        for b in sides[1]
    ]
    tables = {"pair_metrics": pair_rows(results, 9)}
    run = a_run(first, 95, experiment="compare_networks")
    return Findings(run, first.checkpoint_id, DATASET.name, tables, measure_rows([find_pair("linear_cka")]))


def some_stitches(first, second):
    """Two maps at three pairs of layers of two recorded checkpoints; the trained one has a curve."""
    curve = tuple(CurvePoint(step, "held-out", 4.0 - step / 10) for step in (0, 1, 2))
    results = []
    for layer_a, layer_b in ((1, 1), (2, 1), (10, 2)):
        shared = {"layer_a": layer_a, "layer_b": layer_b, "loss": 3.5, "loss_of_b": 3.25, "penalty": 0.25}
        shared |= {"penalty_std_error": 0.01, "accuracy": 0.4, "accuracy_of_b": 0.5, "accuracy_std_error": 0.02}
        shared |= {"tokens": 900, "windows": 9, "note": None}
        if layer_a != 1:  # the first line has not all pairs of layers
            results.append(StitchResult("affine", steps=2, converged=False, curve=curve, **shared))
        results.append(StitchResult("identity", steps=0, converged=None, curve=(), **shared))
    run = a_run(first, 97, experiment="stitch_networks")
    return Stitched(run, ((first, FACTS), (second, FACTS)), DATASET, results)
