"""The classifiers that the questions of separability share, fitted once for each seed, and what was found as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.errors import BadInput
from service.measures import separation
from service.measures.classifiers import find_classifier
from service.measures.layered import Layered
from service.measures.logistic_regression import LinearClassifier, logistic_regression
from service.measures.separation import Classifier, Confusion

Rows = list[dict[str, Any]]
Tables = dict[str, Rows]


@dataclass(frozen=True, eq=False)
class Fit:
    """A classifier of one seed: `held` are the texts that it was not trained on."""

    seed: int
    classifier: Any
    clouds: Layered
    held: Any

    @property
    def train(self) -> Layered:
        """The clouds of the texts that it was trained on."""
        return self.clouds.where(~separation.in_texts(self.clouds, self.held))

    @property
    def test(self) -> Layered:
        """The clouds of the texts that were held out."""
        return self.clouds.where(separation.in_texts(self.clouds, self.held))

    @property
    def texts(self) -> tuple[int, int]:
        """How many texts it was trained on, and how many were held out."""
        return self.clouds.texts - len(self.held), len(self.held)


def train(clouds: Layered, classifier: str = "logistic") -> Classifier:
    """A classifier of that name, trained on every state of the clouds."""
    points, labels = separation.flat(clouds)
    return find_classifier(classifier)(points, labels, len(clouds.layers))


@dataclass(eq=False)
class Separator:
    """The clouds of a network and the logistic regressions trained on them, seed by seed, each fitted when first asked.

    Raises BadInput for fewer than two layers, BadShape for fewer texts than folds.
    """

    clouds: Layered
    seeds: int
    _fits: dict[int, Fit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.clouds.layers) < 2:
            raise BadInput(f"layers {self.clouds.layers} cannot be told apart: two or more are needed")
        separation.held_out_texts(self.clouds, 0)

    def fit(self, seed: int, classifier: str = "logistic") -> Fit:
        """A classifier trained without the texts that the seed holds out."""
        held = separation.held_out_texts(self.clouds, seed)
        empty = Fit(seed, None, self.clouds, held)
        return Fit(seed, train(empty.train, classifier), self.clouds, held)

    def logistic(self, seed: int) -> Fit:
        """The logistic regression of a seed. Others begin at its optimum, which saves steps and changes nothing."""
        if seed not in self._fits:
            held = separation.held_out_texts(self.clouds, seed)
            points, labels = separation.flat(Fit(seed, None, self.clouds, held).train)
            first: LinearClassifier | None = next((fit.classifier for fit in self._fits.values()), None)
            found = logistic_regression(points, labels, len(self.clouds.layers), start=first)
            self._fits[seed] = Fit(seed, found, self.clouds, held)
        return self._fits[seed]

    def every(self) -> Iterator[Fit]:
        """The logistic regression of each seed."""
        return (self.logistic(seed) for seed in range(self.seeds))


def score_rows(
    question: str,
    condition: str,
    fit: Fit,
    found: Confusion,
    tested_on: str,
    *,
    amount: float | None = None,
    length: int | None = None,
    classifier: str = "logistic",
    procedure: str = "corrected",
    note: str | None = None,
    texts: tuple[int, int] | None = None,
) -> Rows:
    """What a classifier confuses as rows of ``separability_scores``: one over all layers, one for each. `texts` are how many it
    was trained and tested on, where those are not the fit's own."""
    layers: Sequence[int] = fit.clouds.layers
    train_texts, test_texts = texts or fit.texts
    common = {
        "tested_on": tested_on,
        "procedure": procedure,
        "classifier": classifier,
        "from_layer": layers[0],
        "question": question,
        "condition": condition,
        "amount": amount,
        "length": length,
        "seed": fit.seed,
        "train_texts": train_texts,
        "test_texts": test_texts,
        "chance": 1 / len(layers),
        "note": note,
    }
    tested = found.counts.sum(1).tolist()
    overall = {"layer": None, "n_tested": found.tested, "accuracy": found.accuracy, "within_one": found.within_one}
    rows = [{**common, **overall}]
    for layer, accuracy, count in zip(layers, found.by_class, tested, strict=True):
        rows.append({**common, "layer": layer, "n_tested": count, "accuracy": accuracy, "within_one": None})
    return rows
