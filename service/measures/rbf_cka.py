"""Centred kernel alignment with a Gaussian kernel: do two clouds have the same points near each other?"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.measures.declaration import Cloud, PairMeasure
from service.measures.factor import ANY_ROTATION
from service.measures.relation import agreement, of_norm_one, squared_distances
from service.results import Estimate

Matrix = Float[Tensor, "points points"] | None


def centred_kernel(cloud: Cloud) -> Matrix:
    """The centred Gaussian kernel of a cloud, of Frobenius norm 1; the bandwidth is the median distance of two points, None
    where that is zero."""
    distances = squared_distances(cloud)
    points = len(distances)
    above = torch.ones_like(distances, dtype=torch.bool).triu_(1)
    median = distances[above].median()
    del above
    if not median > 0:
        return None
    kernel = distances.div_(-2 * median).exp_()
    means = kernel.mean(dim=1, dtype=torch.float64)
    shift = (means - means.sum() / (2 * points)).float()
    return of_norm_one(kernel.sub_(shift[:, None]).sub_(shift))


def rbf_cka(a: Matrix, b: Matrix, order: Int[Tensor, " points"] | None = None) -> Estimate:
    """The alignment of the centred Gaussian kernels K and L.

    Formula: <HKH, HLH>_F / (|HKH|_F |HLH|_F), K_ij = exp(-|x_i - x_j|^2 / (2 s^2)), s the median distance of two different
    points, H the centring matrix. 0 to 1: the same up to rotation, shift and scale. Biased upwards where points are few.
    Undefined where more than half of the points are one. Source: Kornblith et al. 2019, https://arxiv.org/abs/1905.00414
    """
    return agreement(a, b, order, "more than half of the distances in a cloud are zero: the kernel has no bandwidth")


PAIR_MEASURES = (
    PairMeasure(
        "rbf_cka",
        1,
        "alignment",
        0.0,
        1.0,
        True,
        True,
        ANY_ROTATION,
        "Kornblith et al. 2019, arXiv:1905.00414; bandwidth: the median distance",
        True,
        centred_kernel,
        rbf_cka,
    ),
)
