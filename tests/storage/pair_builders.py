"""Rows of two networks that were compared, without comparing them."""

from __future__ import annotations

from store_builders import DATASET, a_run

from service.experiments.measure_rows import measure_rows
from service.measures import find_pair
from service.results import Estimate, Null, PairResult
from service.storage.coverage import recorded_sites
from service.storage.finding_rows import Findings
from service.storage.pair_rows import pair_rows


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
