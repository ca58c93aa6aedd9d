"""Canonical correlations: how much of one cloud is a linear map of another, direction by direction."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.factor import Cross, Factor, linear
from service.results import Estimate

KEPT = 0.99
ANY_LINEAR_MAP = frozenset({"translation", "rotation", "scaling", "permutation", "invertible"})
TOO_FEW = "the {name} cloud has as many directions as {points} points can have: every correlation is 1"
CERTAIN = "{count} correlations are 1 whatever the clouds, for want of points"


def mean_cca(cross: Cross) -> Estimate:
    """The mean canonical correlation, over as many directions as the narrower cloud has.

    Formula: mean of the singular values of U_a' U_b, U orthonormal bases of the centred clouds. 0: no linear map relates them;
    1: the narrower is a linear map of the other. Undefined where a cloud has as many directions as points can have.
    Source: Hotelling 1936; Raghu et al. 2017, https://arxiv.org/abs/1706.05806
    """
    lacking = _too_few(cross, cross.a.rank, cross.b.rank)
    if lacking:
        return lacking
    certain = cross.a.rank + cross.b.rank - (cross.a.points - 1)
    return cross.estimate(cross.correlations.mean().item(), CERTAIN.format(count=certain) if certain > 0 else None)


def svcca(cross: Cross) -> Estimate:
    """The mean canonical correlation of the principal components that hold 99 % of each cloud's variance.

    0 to 1. Undefined where those are as many as points can have. Source: Raghu et al. 2017, https://arxiv.org/abs/1706.05806
    """
    rows, columns = _components(cross.a), _components(cross.b)
    lacking = _too_few(cross, rows, columns)
    if lacking:
        return lacking
    return cross.estimate(cross.singular_values(cross.matrix[:rows, :columns]).mean().item())


def pwcca(cross: Cross) -> Estimate:
    """The mean canonical correlation, each weighted by how much of the first cloud its direction accounts for.

    Formula: sum_i w_i rho_i / sum_i w_i, w_i = sum_j |<h_i, x_j>|, h_i the canonical variates of the first cloud, x_j its
    coordinates: a rotation of the first cloud changes the weights. 0 to 1; not symmetric. Undefined as `mean_cca`.
    The authors' code (google/svcca, pwcca.py) weights by the cloud of fewer dimensions, whichever it is, and by variates to
    which the coordinates' means were added again before they are made orthonormal (QR); here they are centred, as in the paper.
    Source: Morcos et al. 2018, https://arxiv.org/abs/1806.05759
    """
    lacking = _too_few(cross, cross.a.rank, cross.b.rank)
    if lacking:
        return lacking
    variates, correlations, _ = torch.linalg.svd(cross.matrix.double(), full_matrices=False)
    weights = (variates.T @ (cross.a.scales[:, None] * cross.a.directions)).abs().sum(dim=1)
    return cross.estimate((weights @ correlations.clamp_max(1) / weights.sum()).item())


def _components(whole: Factor) -> int:
    """How many principal components hold `KEPT` of the variance."""
    shares: Float[Tensor, " rank"] = whole.scales.square().cumsum(0)
    return int((shares < KEPT * shares[-1]).sum()) + 1


def _too_few(cross: Cross, rows: int, columns: int) -> Estimate | None:
    for name, directions in (("first", rows), ("second", columns)):
        if directions >= cross.a.points - 1:
            return cross.undefined(TOO_FEW.format(name=name, points=cross.a.points))
    return None


PAIR_MEASURES = (
    linear(
        "mean_cca",
        mean_cca,
        "Hotelling 1936; Raghu et al. 2017, arXiv:1706.05806",
        unit="correlation",
        invariant_to=ANY_LINEAR_MAP,
        whitens=True,
    ),
    linear("svcca", svcca, "Raghu et al. 2017, arXiv:1706.05806", unit="correlation", whitens=True),
    linear(
        "pwcca",
        pwcca,
        "Morcos et al. 2018, arXiv:1806.05759",
        unit="correlation",
        symmetric=False,
        invariant_to=frozenset({"translation", "scaling", "permutation"}),
        whitens=True,
    ),
)
