"""How much of the space a linear classifier uses."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Declared
from service.measures.logistic_regression import LinearClassifier

STUDY = "Huang 2024, Exploring the Evolution and Migration of Different Layer Embedding in LLMs"
EFFECTIVE_RANK = "Roy and Vetterli 2007, The effective rank"


def _differences(weights: Float[Tensor, "classes width"]) -> Float[Tensor, "classes width"]:
    """The weights without what all classes share, which decides nothing."""
    weights = weights.double()
    return weights - weights.mean(0)


def weight_rank(weights: Float[Tensor, "classes width"]) -> int:
    """The rank of the classes' weights, what they share left out: at most classes - 1."""
    return int(torch.linalg.matrix_rank(_differences(weights), rtol=1e-5))


def weight_effective_rank(weights: Float[Tensor, "classes width"]) -> float:
    """The exponential of the entropy of the weights' squared singular values; 1 for one direction.

    Source: Roy and Vetterli 2007, The effective rank, https://ieeexplore.ieee.org/document/7098875
    """
    squares = torch.linalg.svdvals(_differences(weights)).square()
    parts = squares / squares.sum()
    return float(torch.exp(-torch.special.xlogy(parts, parts).sum()))


def projected(classifier: LinearClassifier, directions: int) -> LinearClassifier:
    """The classifier when states are projected on the first principal directions of its weights."""
    left, sizes, right = torch.linalg.svd(_differences(classifier.weights), full_matrices=False)
    kept = (left[:, :directions] * sizes[:directions]) @ right[:directions]
    return replace(classifier, weights=kept.to(classifier.weights.dtype))


def _declared(name: str, source: str) -> Declared:
    return Declared(name, 1, "checkpoint", "directions", 1.0, None, source, "between the seeds' held-out texts")


DECLARED = (
    _declared("separability_weight_rank", STUDY),
    _declared("separability_weight_effective_rank", EFFECTIVE_RANK),
)
