"""Rows of two networks that were compared, without comparing them."""

from __future__ import annotations

from dataclasses import replace

from store_builders import DATASET, FACTS, a_checkpoint, a_run

from service.experiments.judging import ACCURACY
from service.experiments.measure_rows import measure_rows
from service.measures import find_pair
from service.results import CurvePoint, Estimate, Null, PairResult, StitchResult
from service.storage.coverage import recorded_sites
from service.storage.finding_rows import Findings, record_findings
from service.storage.ledger import arrow_table
from service.storage.pair_rows import pair_rows
from service.storage.rows import record_tables, run_row, subject_tables
from service.storage.stitch_rows import Stitched
from service.subjects import Site


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


def site_of(model, layer):
    """A site of a network that `some_networks` knows."""
    return Site(a_checkpoint(1, model), DATASET.name, DATASET.digest, layer, "residual" if layer else "embedding")


def some_networks(store, models, layers):
    """Networks with states at so many layers, of which the database alone knows."""
    run = a_run(a_checkpoint(1, models[0]))
    sites = [site_of(model, layer) for model in models for layer in range(layers)]
    facts = replace(FACTS, layers=layers - 1)
    tables = subject_tables([(a_checkpoint(1, model), facts) for model in models], [DATASET])
    shared = {"points": 99, "width": 8, "dtype": "float32", "attention": "eager", "tokens_seen": 99, "non_finite": 0}
    shared |= {"dataset": DATASET.name, "path": "", "digest": "", "run_id": run.run_id}
    tables["activations"] = [
        shared
        | {"site_id": site.site_id, "checkpoint_id": site.checkpoint.checkpoint_id}
        | {"layer": site.layer, "stream": site.stream}
        for site in sites
    ]
    tables["runs"] = [run_row(run, run.seconds) | {"checkpoint_id": run.run_id, "dataset": DATASET.name}]
    record_tables(store, run.run_id, {name: arrow_table(name, rows) for name, rows in tables.items()})


def compared_as(store, first, second, values, minutes=0, measure="linear_cka", null=None, permuted="items"):
    """Two networks of `some_networks` whose layers' values were found to be these, (layer of the first, of the second)."""
    declared = find_pair(measure)
    results = [
        PairResult(
            site_of(first, a).site_id,
            site_of(second, b).site_id,
            measure,
            declared.version,
            "all",
            Estimate(value, None, 99),
            null,
        )
        for (a, b), value in values.items()
    ]
    run = a_run(a_checkpoint(1, f"{first} and {second}"), minutes, experiment="compare_networks")
    tables = {"pair_metrics": pair_rows(results, 9, permuted)}
    found = Findings(run, run.run_id, DATASET.name, tables, measure_rows([declared]))
    record_findings(store, found, shared=("run_id",))


def judged_as(store, model, outside, inside=1.0):
    """A network of `some_networks` whose accuracies as a classifier were found to be these, on texts called in and out."""
    checkpoint = a_checkpoint(1, model)
    splits = (("in", "in-distribution", inside), ("out", "out-of-distribution", outside))
    for minutes, (dataset, split, share) in enumerate(splits, start=1):
        row = {"measure": ACCURACY.name, "version": 1, "variant": split, "value": share, "n_used": 9, "n_dropped": 0}
        run = a_run(checkpoint, minutes, experiment="judge_classifiers")
        found = Findings(
            run, checkpoint.checkpoint_id, dataset, {"checkpoint_metrics": [row]}, measure_rows([ACCURACY])
        )
        record_findings(store, found)
