"""Representational similarity analysis: are the distances between points alike in two clouds?"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.declaration import Cloud, PairMeasure
from service.measures.factor import ANY_ROTATION
from service.measures.relation import agreement, of_norm_one, squared_distances
from service.results import Estimate

Matrix = Float[Tensor, "points points"] | None
ALIKE = "all distances in a cloud are equal"
SOURCE = "Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008"


def centred_distances(cloud: Cloud) -> Matrix:
    """The Euclidean distances of a cloud less their mean, of norm 1 off the diagonal; None where all are equal."""
    return _standardised(squared_distances(cloud).sqrt_())


def centred_ranks(cloud: Cloud) -> Matrix:
    """The ranks of the distances of a cloud less their mean, of norm 1 off the diagonal; ties have the mean of their
    ranks. None where all are equal."""
    distances = squared_distances(cloud)
    rows, columns = torch.triu_indices(len(distances), len(distances), 1)
    _, places, counts = distances[rows, columns].unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2).float()[places]
    distances[rows, columns] = ranks
    distances[columns, rows] = ranks
    return _standardised(distances)


def _standardised(relation: Float[Tensor, "points points"]) -> Matrix:
    points = len(relation)
    mean = relation.sum(dim=1, dtype=torch.float64).sum() / (points * (points - 1))
    spread = relation.abs().max() * torch.finfo(torch.float32).eps * 8
    relation.sub_(mean.float()).fill_diagonal_(0)
    return of_norm_one(relation) if relation.abs().max() > spread else None


def rsa_pearson(a: Matrix, b: Matrix, order: Int[Tensor, " points"] | None = None) -> Estimate:
    """Pearson's correlation of the two clouds' Euclidean distance matrices, above the diagonal.

    -1 to 1; 1: distances are the same up to scale and a constant; unrelated clouds have 0 on average. Undefined where all
    distances in a cloud are equal. Source: Kriegeskorte et al. 2008, https://doi.org/10.3389/neuro.06.004.2008
    """
    return agreement(a, b, order, ALIKE)


def rsa_spearman(a: Matrix, b: Matrix, order: Int[Tensor, " points"] | None = None) -> Estimate:
    """Spearman's correlation of the two clouds' Euclidean distance matrices, above the diagonal: of their ranks, so that few
    large distances do not decide. As `rsa_pearson`. Source: Kriegeskorte et al. 2008,
    https://doi.org/10.3389/neuro.06.004.2008"""
    return agreement(a, b, order, ALIKE)


PAIR_MEASURES = tuple(
    PairMeasure(
        compare.__name__, 1, "correlation", -1.0, 1.0, True, True, ANY_ROTATION, SOURCE, False, prepare, compare
    )
    for prepare, compare in ((centred_distances, rsa_pearson), (centred_ranks, rsa_spearman))
)
