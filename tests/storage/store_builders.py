"""Small summaries and runs to put into a real store; child processes import it too."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from service.results import Estimate, LayerResult, LossResult, Moments, NetworkFacts, SampledTokens, Summary
from service.storage.rows import Entry, Run
from service.subjects import Checkpoint, Dataset, Site, content_id

FACTS = NetworkFacts("gpt_neox", "decoder", 2, 8, 1000, "float32", "cpu", "eager", 3, weights_digest="ab" * 8)
DATASET = Dataset("python-reference", "pydoc_data.topics", "d" * 16, 128, 65_536, licence="PSF-2.0")
BEGUN = datetime(2026, 1, 1, 12)
MEASURES = [
    {
        "measure": name,
        "version": 1,
        "subject": "layer",
        "unit": "ratio",
        "lower": 0.0,
        "upper": None,
        "symmetric": None,
        "source": "a paper",
        "std_error": "closed form",
    }
    for name in ("anisotropy", "twonn")
]


def a_checkpoint(step=0, model="tiny", revision=None):
    return Checkpoint(model, step, revision or f"{model}-{step}-weights")


def a_site(layer=0, checkpoint=None, dataset=DATASET):
    stream = ("embedding", "residual", "residual", "final")[layer]
    return Site(checkpoint or a_checkpoint(), dataset.name, dataset.digest, layer, stream)


def a_summary(layer=0, checkpoint=None, points=12, width=8, dtype="float32", facts=FACTS, loss=True):
    import torch  # children that write no summaries start in half the time

    checkpoint = checkpoint or a_checkpoint()
    draw = torch.Generator().manual_seed(layer)
    states = torch.randn(points, width, generator=draw).to(getattr(torch, dtype))
    places = torch.arange(points)
    sample = SampledTokens(places // 4, places * 3 + 1, places + 100, places % 4, places % 5 == 0)
    moments = {
        positions: Moments(
            1000, torch.randn(width, generator=draw).double(), torch.rand(width, generator=draw).double() / 3
        )
        for positions in ("all", "not-first", "not-special")
    }
    return Summary(
        a_site(layer, checkpoint),
        sample,
        states,
        moments,
        layer if layer < 3 else None,
        1000,
        0,
        facts,
        LossResult(checkpoint.checkpoint_id, DATASET.name, 3.25, 900) if loss else None,
    )


def some_results(site_id, value=0.5):
    return [
        LayerResult(site_id, "anisotropy", 1, "corrected/all", Estimate(value, 0.01, 1000)),
        LayerResult(site_id, "anisotropy", 1, "corrected/not-first", Estimate(value / 2, 0.01, 900)),
        LayerResult(site_id, "anisotropy", 1, "released/all", Estimate(value + 0.25, None, 12)),
        LayerResult(site_id, "twonn", 1, "corrected/all", Estimate(value * 10, 0.2, 11, 1)),
        LayerResult(site_id, "twonn", 1, "corrected/all/gaussian", Estimate(value * 20, 0.3, 11, 1)),
        LayerResult(site_id, "twonn", 1, "corrected/not-first", Estimate.undefined("only 2 points differ", 2, 7)),
        LayerResult(site_id, "gride", 1, "corrected/all/scale-8", Estimate(value * 9, 0.1, 11, 1)),
    ]


def a_run(checkpoint, minutes=0, **other):
    begun = BEGUN + timedelta(minutes=minutes)
    run = Run(
        run_id=content_id("run", checkpoint.checkpoint_id, begun.isoformat()),
        experiment="measure_layers",
        parameters={"sample": 12, "dataset": DATASET.name},
        code_version="0.1.0",
        seed=0,
        device="cpu",
        prefect_flow_run_id=None,
        started_at=begun,
        finished_at=begun + timedelta(seconds=30),
        seconds={"load": 1.5, "measure": 0.5},
    )
    return replace(run, **other)


def an_entry(
    store, step=0, *, layers=2, minutes=0, value=0.5, checkpoint=None, facts=FACTS, dataset=DATASET, written=True
):
    """A run over `layers` sites of a checkpoint; its summaries are on disk, unless only its facts are wanted."""
    checkpoint = checkpoint or a_checkpoint(step)
    stored = []
    if written:
        from service.storage.activations import write_summary

        summaries = [a_summary(layer, checkpoint, facts=facts) for layer in range(layers)]
        stored = [(summary, write_summary(store, summary)) for summary in summaries]
    sites = [a_site(layer, checkpoint, dataset) for layer in range(layers)]
    return Entry(
        run=a_run(checkpoint, minutes),
        checkpoint=checkpoint,
        facts=facts,
        dataset=dataset,
        measures=MEASURES,
        summaries=stored,
        results=[result for site in sites for result in some_results(site.site_id, value)],
        loss=LossResult(checkpoint.checkpoint_id, dataset.name, 3.25, 900),
    )


def some_drift(checkpoint, layers=3, points=4):
    """The drift of a checkpoint's layers by both procedures, as rows of a run: the path, the growth of the norm, the points."""
    from service.storage.finding_rows import Findings

    def metric(measure, variant, value):
        return {"measure": measure, "version": 1, "variant": variant, "value": value, "n_used": 12, "n_dropped": 0}

    names = ("drift_step", "drift_angle", "drift_spread", "drift_step_over_spread")
    path = [
        metric(name, f"{procedure}/all", 0.5 + layer) | {"site_id": a_site(layer, checkpoint).site_id, "std_error": 0.1}
        for layer in range(layers)
        for procedure in ("corrected", "released")
        for name in names
    ]
    growth = [metric(f"norm_{name}", "corrected/all", 0.3) for name in ("growth_rate", "growth_r_squared")]
    shared = {"procedure": "corrected", "reduction": "pca", "normalised": True, "from_layer": 0, "item_id": 0}
    drawn = [
        shared | {"layer": layer, "char_end": place, "position": place + 1, "x": float(layer), "y": float(place)}
        for layer in range(layers)
        for place in range(points)
    ]
    tables = {"layer_metrics": path, "checkpoint_metrics": growth, "drift_points": drawn}
    run = a_run(checkpoint, 60, experiment="drift_layers")
    return Findings(run, checkpoint.checkpoint_id, DATASET.name, tables)


def some_separability(checkpoint, layers=3, width=4):
    """Every question of separability about a checkpoint, as rows of a run."""
    from service.storage.finding_rows import Findings

    def score(question, condition, amount=None, length=None, procedure="corrected", tested_on=DATASET.name, layer=None):
        return {
            "tested_on": tested_on,
            "procedure": procedure,
            "classifier": "logistic",
            "from_layer": 0,
            "question": question,
            "condition": condition,
            "amount": amount,
            "length": length,
            "layer": layer,
            "train_texts": 8,
            "test_texts": 2,
            "n_tested": 12,
            "accuracy": 0.75,
            "within_one": 0.9,
            "chance": 1 / layers,
        }

    scores = [score("separability", "all dimensions", layer=layer) for layer in (None, *range(layers))]
    scores += [score("masking", f"{kind} dimensions, mean", 2.0) for kind in ("top", "random")]
    scores += [
        score("norm", "norm alone"),
        score("norm", "norm alone", procedure="released"),
        score("scaling", "texts", 9.0, 10),
    ]
    scores += [score("transfer", "another dataset", tested_on="elsewhere"), score("projection", "directions", 1.0)]
    places = [{"procedure": "corrected", "from_layer": 0, "layer": layer} for layer in range(layers)]
    tables = {
        "separability_scores": [row | {"seed": seed} for row in scores for seed in range(2)],
        "separability_confusions": [
            place | {"classifier": "logistic", "predicted": other, "n": 4}
            for place in places
            for other in range(layers)
        ],
        "dimension_contributions": [
            place | {"dimension": one, "contribution": 100 / width, "rank": one + 1}
            for place in places
            for one in range(width)
        ],
        "top_dimension_overlaps": [
            place | {"across": "splits", "top": 1, "pairs": 3, "overlap": 0.6, "chance": 1 / width} for place in places
        ],
        "checkpoint_metrics": [
            {"measure": "separability_weight_rank", "version": 1, "variant": "corrected/all/from-0", "value": 2.0}
            | {"n_used": 12, "n_dropped": 0}
        ],
    }
    run = a_run(checkpoint, 90, experiment="separate_layers")
    return Findings(run, checkpoint.checkpoint_id, DATASET.name, tables)
