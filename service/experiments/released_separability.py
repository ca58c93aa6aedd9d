"""The study's own procedure, as released, with what is wrong in it."""

from __future__ import annotations

from typing import Any

from service.experiments.separability_fits import Fit, Rows, Separator, Tables, score_rows
from service.experiments.separability_questions import FEWER, MASKED, confusion_rows, contribution_rows, part_of
from service.measures import dimension_contribution as dimensions
from service.measures import norm_controls, separation
from service.measures.layered import Layered
from service.measures.released_probe import ReleasedProbe, Scaling, released_probe
from service.measures.separation import Confusion

SPLIT = 0  # the random state of the released split


def released(separator: Separator, dataset: str) -> Tables:
    """Separability, masks and norm controls by the released procedure: a probe by SGD that does not converge, tested on a
    fifth of the vectors whatever text they are of; masks off by one; norms drawn with their variance as deviation."""
    clouds = separator.clouds
    rows: Rows = []
    shares = []
    total: Any = 0
    for seed in range(min(FEWER, separator.seeds)):
        fit = Fit(seed, _probe(clouds, seed, "page"), clouds, None)  # no text is held out
        found = _tested(fit.classifier, clouds)
        rows += _rows("separability", "all dimensions", fit, found, dataset)
        total = total + found.counts
        shares.append(dimensions.contributions(fit.classifier.weights))
        if seed == 0:
            rows += _once(fit, dataset)
    return {
        "separability_scores": rows,
        "separability_confusions": confusion_rows(separator, total, "logistic", "released"),
        "dimension_contributions": contribution_rows(clouds, shares, "released"),
    }


def _once(fit: Fit, dataset: str) -> Rows:
    clouds, probe = fit.clouds, fit.classifier
    unscaled = _probe(clouds, 0, "none")
    rows = _rows("separability", "all dimensions, no scaling", fit, _tested(unscaled, clouds), dataset)
    rows += _masks(fit, dataset)
    unit = norm_controls.unit_vectors(clouds)
    ways: tuple[tuple[str, Scaling], ...] = (("unit vectors", "none"), ("unit vectors, then scaled", "page"))
    for condition, scaling in ways:
        found = _tested(_probe(unit, 0, scaling), unit)
        rows += _rows("norm", condition, fit, found, dataset)
    rows += _rows("norm", "as they are", fit, _tested(probe, clouds), dataset)
    random = norm_controls.released_random_directions(clouds, 0)
    condition = "random directions with the layers' norms"
    found = separation.evaluated(probe, random)
    return rows + _rows("norm", condition, fit, found, dataset, tested_texts=random.texts)


def _masks(fit: Fit, dataset: str) -> Rows:
    """Labels that count from 1 used as places that count from 0: one column beside the right one."""
    width = fit.clouds.states.shape[2]
    shares = dimensions.contributions(fit.classifier.weights).mean(0)
    rows: Rows = []
    for count in part_of(width, MASKED):
        beside = (dimensions.top_dimensions(shares, count) + 1) % width
        found = _tested(fit.classifier, dimensions.masked(fit.clouds, beside))
        rows += _rows("masking", "top dimensions, zero", fit, found, dataset, float(count))
    return rows


def _rows(
    question: str,
    condition: str,
    fit: Fit,
    found: Confusion,
    dataset: str,
    amount: float | None = None,
    tested_texts: int | None = None,
) -> Rows:
    held = separation.held_out_vectors(fit.clouds, SPLIT)
    texts = separation.texts_of(fit.clouds, ~held), tested_texts or separation.texts_of(fit.clouds, held)
    note = "a fifth of the vectors held out, not of the texts"
    return score_rows(
        question, condition, fit, found, dataset, amount=amount, procedure="released", note=note, texts=texts
    )


def _probe(clouds: Layered, seed: int, scaling: Scaling) -> ReleasedProbe:
    points, labels = separation.flat(clouds)
    held = separation.held_out_vectors(clouds, SPLIT)
    return released_probe(points[~held], labels[~held], len(clouds.layers), seed, scaling)


def _tested(probe: ReleasedProbe, clouds: Layered) -> Confusion:
    points, labels = separation.flat(clouds)
    held = separation.held_out_vectors(clouds, SPLIT)
    return separation.confusion(probe.predict(points[held]), labels[held], len(clouds.layers))
