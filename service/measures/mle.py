"""The Levina-Bickel maximum-likelihood estimate of intrinsic dimension."""

from __future__ import annotations

from collections.abc import Mapping

from service.measures.declaration import Cloud, LayerMeasure
from service.measures.gaussian_twin import gaussian_twin
from service.measures.neighbours import EQUAL, neighbour_distances
from service.measures.repeated import too_few
from service.measures.standard_error import clustered
from service.results import Estimate

NEIGHBOURS = 20


def mle(cloud: Cloud) -> Mapping[str, Estimate]:
    """The dimension at which k = 20 neighbours fill each point's ball as a uniform cloud would.

    Formula: 1 / mean_i m_i, m_i = sum_{j<k} log(T_k / T_j) / (k - 1), T_j the distance of point i to its j-th
    neighbour: the harmonic mean of the points' own estimates. Points (points, width), repeated ones dropped and
    counted. Dimensions, 0 or more: 1 a curve, `width` a full cloud; above about 15 too low, so detail "gaussian" holds
    the value of a Gaussian cloud of the same spectrum and size. Undefined below 21 distinct points. Source: Levina and
    Bickel 2004, https://papers.nips.cc/paper/2577; MacKay and Ghahramani 2005,
    http://www.inference.org.uk/mackay/dimension
    """
    note = too_few(cloud, NEIGHBOURS + 1)
    if note:
        return {"": note, "gaussian": note}
    return {"": _harmonic(cloud), "gaussian": _harmonic(gaussian_twin(cloud))}


def _harmonic(cloud: Cloud) -> Estimate:
    near = neighbour_distances(cloud, NEIGHBOURS)
    logs = near.first(NEIGHBOURS).log()
    inverse = logs[:, -1] - logs[:, :-1].mean(dim=1)
    mean = inverse.mean().item()
    if not mean > EQUAL:
        note = f"the {NEIGHBOURS} nearest neighbours are equally far from every point"
        return Estimate.undefined(note, near.n_used, near.n_dropped)
    items = None if cloud.items is None else cloud.items[near.kept]
    error = clustered((mean - inverse) / mean**2, items)
    return Estimate(1 / mean, error, near.n_used, near.n_dropped)


MEASURES = (
    LayerMeasure(
        "mle",
        1,
        "dimensions",
        0.0,
        None,
        "Levina and Bickel 2004, NeurIPS; MacKay and Ghahramani 2005",
        frozenset({"translation", "rotation", "scaling", "permutation"}),
        "infinitesimal jackknife of the harmonic mean over texts, the neighbours taken as given: "
        "the spread over samples was up to 1.4 times it",
        mle,
        neighbours=NEIGHBOURS,
    ),
)
