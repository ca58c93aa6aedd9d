"""Mean cosine: how much the states of different tokens point the same way."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from service.measures.declaration import Cloud, LayerMeasure
from service.measures.standard_error import CLUSTERED, clustered
from service.results import Estimate


def mean_cosine(cloud: Cloud) -> Mapping[str, Estimate]:
    """The mean cosine over all pairs of different points, exactly, without making the pairs.

    Formula: (|sum_i x_i / |x_i||^2 - n) / (n (n - 1)), points (points, width) not centred. Cosine, in [-1 / (n - 1),
    1]: 0 is no common direction, 1 all states point one way. Points that are zero have no direction and are dropped.
    Undefined where fewer than two are left.
    Source: Ethayarajh 2019, section 3.4, https://arxiv.org/abs/1909.00512
    """
    points = cloud.points.double()
    lengths = torch.linalg.vector_norm(points, dim=1)
    keep = lengths > 0
    count = int(keep.sum())
    dropped = len(points) - count
    if count < 2:
        return {
            "": Estimate.undefined(f"needs at least 2 points that are not zero; the cloud has {count}", count, dropped)
        }
    units = points[keep] / lengths[keep, None]
    total = units.sum(dim=0)
    value = min(((total @ total).item() - count) / (count * (count - 1)), 1.0)
    own = (units @ total - 1) / (count - 1)
    items = None if cloud.items is None else cloud.items[keep]
    return {"": Estimate(value, clustered(2 * (own - value), items), count, dropped)}


MEASURES = (
    LayerMeasure(
        "mean_cosine",
        1,
        "cosine",
        -1.0,
        1.0,
        "Ethayarajh 2019, arXiv:1909.00512",
        frozenset({"rotation", "scaling", "permutation"}),
        CLUSTERED,
        mean_cosine,
    ),
)
