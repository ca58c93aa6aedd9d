"""Effective rank: the number of directions a cloud uses, by the entropy of its singular values."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Cloud, LayerMeasure
from service.measures.spectrum import axes, centred, no_spread, spectrum, tokens_behind
from service.measures.standard_error import CLUSTERED, clustered
from service.results import Estimate


def effective_rank(cloud: Cloud) -> Mapping[str, Estimate]:
    """The exponential of the entropy of the normalised singular values of the centred cloud.

    Formula: exp(-sum_i p_i log p_i), p_i = s_i / sum_j s_j, s_i = sqrt(lambda_i) of the centred second moment, of all
    tokens where their moments were streamed. Directions, in [1, min(points - 1, width)]: 1 is a line, the upper end a
    cloud as wide in every direction. Undefined where the points do not differ.
    Source: Roy and Vetterli 2007, definition 1, https://ieeexplore.ieee.org/document/7098875
    """
    values = spectrum(cloud)
    if not len(values):
        return {"": Estimate.undefined(no_spread(cloud), len(cloud.points))}
    value = _entropy(values).exp().item()
    return {"": Estimate(value, _error(cloud), tokens_behind(cloud))}


def _entropy(values: Float[Tensor, " rank"]) -> Float[Tensor, ""]:
    shares = values.sqrt() / values.sqrt().sum()
    return -(shares * shares.log()).sum()


def _error(cloud: Cloud) -> float | None:
    """From IF(x) = -erank sum_i (log p_i + entropy) ((u . v_i)^2 - lambda_i) / (2 s_i sum_j s_j), in the sample."""
    if not len(axes(cloud).values):
        return None
    values, directions = axes(cloud).values, axes(cloud).directions
    sizes, entropy = values.sqrt(), _entropy(values)
    weights = -entropy.exp() * ((sizes / sizes.sum()).log() + entropy) / (2 * sizes * sizes.sum())
    influence = (centred(cloud) @ directions).square() @ weights - values @ weights
    return clustered(influence, cloud.items, tokens_behind(cloud))


MEASURES = (
    LayerMeasure(
        "effective_rank",
        1,
        "directions",
        1.0,
        None,
        "Roy and Vetterli 2007, EUSIPCO, pages 606-610",
        frozenset({"translation", "rotation", "scaling", "permutation"}),
        CLUSTERED,
        effective_rank,
    ),
)
