"""Participation ratio: the number of directions that share a cloud's variance."""

from __future__ import annotations

from collections.abc import Mapping

from service.measures.declaration import Cloud, LayerMeasure
from service.measures.spectrum import axes, centred, no_spread, spectrum, tokens_behind
from service.measures.standard_error import CLUSTERED, clustered
from service.results import Estimate


def participation_ratio(cloud: Cloud) -> Mapping[str, Estimate]:
    """The squared sum of the eigenvalues of the centred second moment over the sum of their squares.

    Formula: (sum_i lambda_i)^2 / sum_i lambda_i^2, of all tokens where their moments were streamed. Directions, in [1,
    min(points - 1, width)]: 1 is a line, the upper end a cloud as wide in every direction. Undefined where the points
    do not differ.
    Source: Gao et al. 2017, equation 5, https://doi.org/10.1101/214262
    """
    values = spectrum(cloud)
    if not len(values):
        return {"": Estimate.undefined(no_spread(cloud), len(cloud.points))}
    value = (values.sum().square() / values.square().sum()).item()
    return {"": Estimate(value, _error(cloud), tokens_behind(cloud))}


def _error(cloud: Cloud) -> float | None:
    """From IF(x) = 2 PR (|u|^2 / sum lambda - u'Cu / sum lambda^2), u = x - mean, C the second moment, in the
    sample."""
    if not len(axes(cloud).values):
        return None
    values = axes(cloud).values
    along = (centred(cloud) @ axes(cloud).directions).square()
    ratio = values.sum().square() / values.square().sum()
    influence = 2 * ratio * (along.sum(dim=1) / values.sum() - along @ values / values.square().sum())
    return clustered(influence, cloud.items, tokens_behind(cloud))


MEASURES = (
    LayerMeasure(
        "participation_ratio",
        1,
        "directions",
        1.0,
        None,
        "Gao et al. 2017, bioRxiv 214262",
        frozenset({"translation", "rotation", "scaling", "permutation"}),
        CLUSTERED,
        participation_ratio,
    ),
)
