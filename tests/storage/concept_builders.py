"""Rows of a concept's probes, attributions and counterfactual, without probing, attributing or training anything."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
from PIL import Image
from store_builders import DATASET, FACTS, a_checkpoint, a_run, a_site, an_entry

from service.storage.attribution_rows import About, Attributed, Extreme, Quality, Retrained, record_attributions
from service.storage.attribution_scores import StoredScores
from service.storage.concept_rows import record_probes
from service.storage.rows import record_tables, rows_of
from service.subjects import Concept, Dataset, content_id

CONCEPT = Concept("loop", "classes:0,6,8,9", DATASET.name, "c" * 16, 100, 40)
TRAINED_ON = Dataset("digits:train", "sklearn digits", "e" * 16, 1000, 0, licence="BSD-3-Clause")
ENSEMBLE = "vision x 2"
REMOVALS = {("none", 0): 0.9, ("top", 10): 0.5, ("random", 10): 0.9}


def a_picture(seed=0):
    """A grey image of 8 x 8 pixels as a preview."""
    sink = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(sink, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(sink.getvalue()).decode()}"


def probes_of(checkpoint, accuracy=0.9, share=0.2):
    """Probes of two layers with their control, by two seeds: `accuracy` is the last layer's, or that of both; half of their
    weights lie in a `share` of the dimensions."""
    accuracies = accuracy if isinstance(accuracy, tuple) else (accuracy - 0.1, accuracy)
    shared = {"positions": "all", "penalty": "l2", "strength": 1.0, "folds": 5, "n_train": 80, "n_test": 20}
    shared |= {"balanced_accuracy": 0.8, "chance": 0.6, "positives": 0.4, "auroc": 0.8, "nonzero": 8, "converged": True}
    shared |= {"share_of_weights_50": share, "share_of_weights_90": 0.6, "checkpoint_id": checkpoint.checkpoint_id}
    return [
        shared
        | {"site_id": a_site(layer, checkpoint).site_id, "seed": seed, "labels": labels, "accuracy": value + seed / 50}
        for layer in (0, 1)
        for seed in (0, 1)
        for labels, value in (("real", accuracies[layer]), ("shuffled", 0.55))
    ]


def agreement_of(checkpoint):
    """What the two seeds of a layer agree on."""
    found = {"between": "seeds", "checkpoint_a": checkpoint.checkpoint_id, "checkpoint_b": checkpoint.checkpoint_id}
    found |= {"layer": 1, "seed_a": 0, "seed_b": 1, "positions": "all", "folds": 5, "cosine": 0.9, "width": 8}
    return found | {"margin_correlation": 0.95, "places": 100}


def record_together(store, entries):
    """Record the sites of many checkpoints as one run: a transaction, not one a checkpoint."""
    found = [rows_of(replace(entry, results=[], loss=None)) for entry in entries]
    tables = {name: pa.concat_tables([one.tables[name] for one in found]) for name in found[0].tables}
    record_tables(store, found[0].run_id, tables)


def record_members(store, members, concept=CONCEPT):
    """Record probes of checkpoints: (checkpoint, ensemble, accuracy of the last layer or of both, share of the weights)."""
    members = [(*one, 0.2)[:4] for one in members]
    record_together(store, [an_entry(store, checkpoint=checkpoint) for checkpoint, *_ in members])
    tables = {
        "concept_probes": [row for checkpoint, _, *found in members for row in probes_of(checkpoint, *found)],
        "concept_ensembles": [
            {"ensemble": ensemble, "checkpoint_id": checkpoint.checkpoint_id} for checkpoint, ensemble, *_ in members
        ],
        "concept_agreements": [agreement_of(checkpoint) for checkpoint, *_ in members],
    }
    record_probes(store, a_run(members[0][0], 200, experiment="probe_concepts"), concept, tables)


def an_attribution(method="trak", previews=(), targets=(5,), ensemble=ENSEMBLE):
    """Attributed items of two sides for the mean and for some targets; the preview of each side's place."""
    identity = content_id("attribution", method, ensemble)
    extremes = [
        Extreme(target, side, place + 1, 10 * place + (side == "least"), sign * (1.0 - place / 10), preview)
        for target in (None, *targets)
        for side, sign in (("most", 1), ("least", -1))
        for place, preview in enumerate(previews)
    ]
    return Attributed(
        identity, ensemble, 2, CONCEPT.concept_id, "probe", 1, method, TRAINED_ON.name, DATASET.name, 1000, 100, 500, 64,
        StoredScores(f"{identity}.parquet", "f" * 16), tuple(extremes),
    )  # fmt: skip


def some_concept(store, previews=("a text", None), removals=REMOVALS, networks=2, ensemble=ENSEMBLE):
    """A concept of an ensemble: probed, attributed by two methods, judged, and trained anew without some items."""
    members, retrained = [], []
    for (removal, removed), accuracy in removals.items():
        for seed in range(networks):
            checkpoint = a_checkpoint(200, f"{ensemble.replace(' ', '-')}-{removal}-{removed}-{seed}")
            name = ensemble if removal == "none" else f"{ensemble} without {removal}-{removed} (0a1b2c)"
            members.append((checkpoint, name, accuracy + seed / 10))
            identity = content_id("attribution", "trak", ensemble)
            about = About(identity, ensemble, CONCEPT.concept_id, 1, "trak", "all", 5, 5, TRAINED_ON.name)
            made = removal, removed, 1000 - removed, seed, checkpoint.checkpoint_id
            retrained.append(Retrained(about, *made, 0.7 + seed / 10))
    record_members(store, members)
    found = [an_attribution(method, previews, ensemble=ensemble) for method in ("trak", "random")]
    judged = "mislabelled-auroc", "0.1 of the labels wrong", 0.7, 0.6, 0.8, 100
    qualities = [Quality(one.attribution_id, *judged) for one in found]
    nothing = "half-ensembles", "two halves of the ensemble", None, None, None, 0, "nothing varies"
    qualities.append(Quality(found[0].attribution_id, *nothing))
    run = a_run(members[0][0], 300, experiment="attribute_concepts")
    checkpoints = [(checkpoint, FACTS) for checkpoint, _, _ in members]
    record_attributions(store, run, checkpoints, [DATASET, TRAINED_ON], found, qualities, retrained)
