"""The study's questions that are asked of one network on one dataset; each gives rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import numpy as np

from service.experiments.separability_fits import Fit, Rows, Separator, Tables, score_rows, train
from service.measures import dimension_contribution as dimensions
from service.measures import norm_controls, separation, weight_space
from service.measures.layered import Layered
from service.measures.logistic_regression import logistic_regression
from service.measures.separation import evaluated

MASKED = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # parts of the dimensions that are masked
TOP = (0.01, 0.05, 0.1)  # parts of the dimensions whose overlap is asked for
FEWER = 3  # seeds of the questions that train a classifier for each condition
RESAMPLES = 3


def part_of(width: int, parts: Sequence[float]) -> list[int]:
    """Parts of the dimensions as numbers of them, at least 1 and not all, each once."""
    return sorted({min(max(1, round(part * width)), width - 1) for part in parts})


def separability(separator: Separator, dataset: str, classifier: str) -> Tables:
    """Accuracy overall and by layer, the confusion matrix, and for the logistic regression each dimension's contribution."""
    fits = [separator.fit(seed, classifier) for seed in range(separator.seeds)] if classifier != "logistic" else None
    scores: Rows = []
    total: Any = 0
    for fit in fits or separator.every():
        found = evaluated(fit.classifier, fit.test)
        scores += score_rows("separability", "all dimensions", fit, found, dataset, classifier=classifier)
        total = total + found.counts
    tables = {"separability_scores": scores, "separability_confusions": confusion_rows(separator, total, classifier)}
    if classifier == "logistic":
        shares = [dimensions.contributions(fit.classifier.weights) for fit in separator.every()]
        tables["dimension_contributions"] = contribution_rows(separator.clouds, shares)
    return tables


def confusion_rows(separator: Separator, counts: Any, classifier: str, procedure: str = "corrected") -> Rows:
    """The confusion matrix over all seeds as rows."""
    layers = separator.clouds.layers
    common = {"procedure": procedure, "classifier": classifier, "from_layer": layers[0]}
    return [
        {**common, "layer": layer, "predicted": predicted, "n": int(counts[row, column])}
        for row, layer in enumerate(layers)
        for column, predicted in enumerate(layers)
    ]


def contribution_rows(clouds: Layered, shares: Sequence[Any], procedure: str = "corrected") -> Rows:
    """The mean contribution of each dimension to each layer over seeds, its standard error, and its rank in the layer."""
    stacked = np.stack([share.cpu().numpy() for share in shares])
    mean = stacked.mean(0)
    error = stacked.std(0, ddof=1) / math.sqrt(len(shares)) if len(shares) > 1 else None
    rows: Rows = []
    for place, layer in enumerate(clouds.layers):
        rank = np.empty(mean.shape[1], dtype=int)
        rank[np.argsort(-mean[place], kind="stable")] = np.arange(1, mean.shape[1] + 1)
        rows += [
            {
                "procedure": procedure,
                "from_layer": clouds.layers[0],
                "layer": layer,
                "dimension": dimension,
                "contribution": float(mean[place, dimension]),
                "std_error": None if error is None else float(error[place, dimension]),
                "rank": int(rank[dimension]),
            }
            for dimension in range(mean.shape[1])
        ]
    return rows


def masking(separator: Separator, dataset: str) -> Tables:
    """Accuracy without the dimensions that contribute most, against as many random ones: set to zero, to the training mean,
    and with a classifier trained without them."""
    width = separator.clouds.states.shape[2]
    rows: Rows = []
    for fit in separator.every():
        shares = dimensions.contributions(fit.classifier.weights).mean(0)
        for count in part_of(width, MASKED):
            top = dimensions.top_dimensions(shares, count)
            chosen = {"top": top, "random": dimensions.random_dimensions(width, count, fit.seed)}
            for kind, those in chosen.items():
                retrain = fit.seed < FEWER and count >= MASKED[3] * width
                rows += mask_rows(fit, those, f"{kind} dimensions", dataset, retrain)
    return {"separability_scores": rows}


def mask_rows(fit: Fit, chosen: Any, name: str, dataset: str, retrain: bool) -> Rows:
    """The accuracy of one classifier without some dimensions, in three ways."""
    rows: Rows = []
    amount = float(len(chosen))

    def add(way: str, classifier: Any, clouds: Layered) -> None:
        found = evaluated(classifier, clouds)
        rows.extend(score_rows("masking", f"{name}, {way}", fit, found, dataset, amount=amount))

    test = fit.test
    zero = dimensions.masked(test, chosen)
    add("zero", fit.classifier, zero)
    add("mean", fit.classifier, dimensions.masked(test, chosen, fit.classifier.standardise.mean))
    if retrain:
        add("retrained", train(dimensions.masked(fit.train, chosen)), zero)
    return rows


def chosen_mask(separator: Separator, dataset: str, chosen: Sequence[int]) -> Tables:
    """Accuracy without dimensions that the caller names. Raises BadShape for one that is out of range."""
    width = separator.clouds.states.shape[2]
    dimensions.refuse_dimensions(chosen, width)
    name = f"dimensions {','.join(map(str, chosen))}"
    places = separator.clouds.item_id.new_tensor(list(chosen))
    rows: Rows = []
    for fit in separator.every():
        random = dimensions.random_dimensions(width, len(chosen), fit.seed)
        rows += mask_rows(fit, places, name, dataset, True)
        rows += mask_rows(fit, random, "random dimensions", dataset, False)
    return {"separability_scores": rows}


def norm(separator: Separator, dataset: str) -> Tables:
    """Is it only the norm? Without norms, with nothing else, and random directions with the layers' own norms."""
    rows: Rows = []

    def add(condition: str, fit: Fit, classifier: Any, clouds: Layered) -> None:
        rows.extend(score_rows("norm", condition, fit, evaluated(classifier, clouds), dataset))

    for fit in separator.every():
        add("as they are", fit, fit.classifier, fit.test)
        random = norm_controls.random_directions(fit.test, fit.seed)
        add("random directions with the layers' norms", fit, fit.classifier, random)
        if fit.seed < FEWER:
            for name, change in (
                ("unit vectors", norm_controls.unit_vectors),
                ("norm alone", norm_controls.norms_alone),
            ):
                add(name, fit, train(change(fit.train)), change(fit.test))
    return {"separability_scores": rows}


def stability(separator: Separator, dataset: str) -> Tables:
    """The overlap of top dimensions between classifiers: of other held-out texts, and of the same texts resampled."""
    width, layers = separator.clouds.states.shape[2], separator.clouds.layers
    shares: dict[tuple[int, int], Any] = {}
    for seed in range(min(FEWER, separator.seeds)):
        texts = separator.logistic(seed).train
        for resample in range(RESAMPLES):
            fitted: Any = train(separation.resampled(texts, seed * RESAMPLES + resample))
            shares[seed, resample] = dimensions.contributions(fitted.weights)
    pairs = list(combinations(shares, 2))
    kinds = {
        "resamples": [pair for pair in pairs if pair[0][0] == pair[1][0]],
        "splits": [pair for pair in pairs if pair[0][0] != pair[1][0]],
    }
    rows: Rows = []
    for count in part_of(width, TOP):
        tops = {key: dimensions.top_dimensions(share, count) for key, share in shares.items()}
        for across, chosen in kinds.items():
            if not chosen:
                continue
            found = [dimensions.overlap(tops[one], tops[other]) for one, other in chosen]
            for layer, values in zip(layers, zip(*found, strict=True), strict=True):
                rows.append(overlap_row(layers[0], across, layer, count, values, count / width))
    return {"top_dimension_overlaps": rows}


def overlap_row(
    from_layer: int,
    across: str,
    layer: int,
    top: int,
    values: Sequence[float],
    chance: float,
    procedure: str = "corrected",
) -> dict[str, Any]:
    """The overlap of one layer's top dimensions over pairs of classifiers, with the middle 95 % of the pairs."""
    low, high = np.quantile(values, [0.025, 0.975])
    return {
        "procedure": procedure,
        "from_layer": from_layer,
        "across": across,
        "layer": layer,
        "top": top,
        "pairs": len(values),
        "overlap": fmean(values),
        "overlap_low": float(low),
        "overlap_high": float(high),
        "chance": chance,
    }


def projection(separator: Separator, dataset: str) -> Tables:
    """How much of the space is used: the rank of the weights, and accuracy on their first principal directions alone."""
    rows: Rows = []
    ranks, effective = [], []
    for fit in separator.every():
        test, weights = fit.test, fit.classifier.weights
        for count in range(1, len(separator.clouds.layers)):
            found = evaluated(weight_space.projected(fit.classifier, count), test)
            rows += score_rows("projection", "weights' principal directions", fit, found, dataset, amount=float(count))
        ranks.append(float(weight_space.weight_rank(weights)))
        effective.append(weight_space.weight_effective_rank(weights))
    variant = f"corrected/all/from-{separator.clouds.layers[0]}"
    metrics = [
        metric_row(name, variant, values, separator.clouds)
        for name, values in (("separability_weight_rank", ranks), ("separability_weight_effective_rank", effective))
    ]
    return {"separability_scores": rows, "checkpoint_metrics": metrics}


def metric_row(measure: str, variant: str, values: Sequence[float], clouds: Layered) -> dict[str, Any]:
    """The mean over seeds as a row of ``checkpoint_metrics``."""
    return {
        "measure": measure,
        "version": 1,
        "variant": variant,
        "value": fmean(values),
        "std_error": stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None,
        "n_used": clouds.states.shape[0] * clouds.states.shape[1],
        "n_dropped": 0,
        "note": None,
    }


def leak(separator: Separator, dataset: str) -> Tables:
    """What holding out vectors in place of whole texts would claim, by the same classifier."""
    rows: Rows = []
    for seed in range(min(FEWER, separator.seeds)):
        fit = separator.logistic(seed)
        rows += score_rows("leak", "held-out texts", fit, evaluated(fit.classifier, fit.test), dataset)
        points, labels = separation.flat(separator.clouds)
        held = separation.held_out_vectors(separator.clouds, seed)
        classes = len(separator.clouds.layers)
        other = logistic_regression(points[~held], labels[~held], classes, start=fit.classifier)
        found = separation.confusion(other.predict(points[held]), labels[held], classes)
        texts = separation.texts_of(separator.clouds, ~held), separation.texts_of(separator.clouds, held)
        rows += score_rows("leak", "held-out vectors", fit, found, dataset, texts=texts)
    return {"separability_scores": rows}


QUESTIONS: dict[str, Callable[[Separator, str], Tables]] = {
    "masking": masking,
    "norm": norm,
    "stability": stability,
    "projection": projection,
    "leak": leak,
}
