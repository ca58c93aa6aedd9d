"""Interpretable classifiers on one interface: each is fitted to states and their layers, and names the layer of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.errors import UnknownName
from service.measures.logistic_regression import Standardiser, logistic_regression
from service.measures.separation import Classifier


@dataclass(frozen=True, eq=False)
class Fitted:
    """One of scikit-learn's classifiers behind the standardiser of its training points."""

    model: Any
    standardise: Standardiser

    def predict(self, points: Float[Tensor, "points width"]) -> Int[Tensor, " points"]:
        """The class of each raw point."""
        found = self.model.predict(self.standardise(points).cpu().numpy())
        return torch.from_numpy(found).to(points.device)


def _fitted(
    model: Any, points: Float[Tensor, "points width"], labels: Int[Tensor, " points"], classes: int
) -> Classifier:
    standardise = Standardiser.of(points)
    return Fitted(model.fit(standardise(points).cpu().numpy(), labels.cpu().numpy()), standardise)


def decision_tree(points: Float[Tensor, "points width"], labels: Int[Tensor, " points"], classes: int) -> Classifier:
    """A decision tree by Gini impurity with five states or more in a leaf. Source: Breiman et al. 1984; scikit-learn's."""
    from sklearn.tree import DecisionTreeClassifier

    return _fitted(DecisionTreeClassifier(min_samples_leaf=5, random_state=0), points, labels, classes)


def nearest_centroid(points: Float[Tensor, "points width"], labels: Int[Tensor, " points"], classes: int) -> Classifier:
    """The layer whose mean training state is nearest. Source: Tibshirani et al. 2002; scikit-learn's, without shrinkage."""
    from sklearn.neighbors import NearestCentroid

    return _fitted(NearestCentroid(), points, labels, classes)


def linear_discriminant_analysis(
    points: Float[Tensor, "points width"], labels: Int[Tensor, " points"], classes: int
) -> Classifier:
    """Linear discriminant analysis: Gaussian clouds of one shared covariance. Source: Fisher 1936; scikit-learn's, solved
    from the covariance, which stands dimensions that do not vary, with the least shrinkage that float32 needs."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return _fitted(LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-5), points, labels, classes)


def logistic(points: Float[Tensor, "points width"], labels: Int[Tensor, " points"], classes: int) -> Classifier:
    """Multinomial logistic regression at its optimum, C = 1; see `logistic_regression`."""
    return logistic_regression(points, labels, classes)


CLASSIFIERS: dict[str, Callable[[Tensor, Tensor, int], Classifier]] = {
    "logistic": logistic,
    "tree": decision_tree,
    "centroid": nearest_centroid,
    "lda": linear_discriminant_analysis,
}


def find_classifier(name: str) -> Callable[[Tensor, Tensor, int], Classifier]:
    """The classifier of that name. Raises UnknownName."""
    if name not in CLASSIFIERS:
        raise UnknownName.of("classifier", name, CLASSIFIERS)
    return CLASSIFIERS[name]
