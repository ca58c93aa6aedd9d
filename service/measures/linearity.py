"""Linearity: how much of a layer is a linear map of the layer before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Cloud, LayerMeasure
from service.measures.released_linearity import linearity_as_released, linearity_of_update_as_released, unfit
from service.measures.spectrum import centred
from service.measures.standard_error import clustered
from service.results import Estimate


@dataclass(frozen=True, eq=False)
class Fit:
    """The least-squares linear map from the centred earlier states X to the centred states Y: what it leaves over,
    |e|^2 by point, and how many directions of X it uses."""

    left_over: Float[Tensor, " points"]
    rank: int


def linearity(cloud: Cloud) -> Mapping[str, Estimate]:
    """The share of a site's spread that the best linear map of the site before accounts for.

    Formula: 1 - |XA - Y|^2 / |Y|^2, X = `previous` (points, previous_width) and Y = `points` centred, A by least
    squares. Directions of X shorter than 1e-6 of its longest are rounding and left out (float32 carries no more).
    Share, in [0, 1]: 1 is a linear layer, 0 one that nothing linear foretells. It is taken on the points that fitted
    it: with no more points than X has directions it is 1 whatever the layer does, and a note says so. Undefined at the
    first site and where the points do not differ. Source: Razzhigaev et al. 2024, section 3,
    https://arxiv.org/abs/2405.12250
    """
    return _explained(cloud, update=False)


def linearity_of_update(cloud: Cloud) -> Mapping[str, Estimate]:
    """`linearity` of what the layer adds: the same with Y - X in the place of Y.

    The residual stream carries X along, which makes `linearity` high by itself; this one has it taken away. Undefined
    also where the two sites differ in width. Source: as `linearity`.
    """
    return _explained(cloud, update=True)


def _explained(cloud: Cloud, update: bool) -> Mapping[str, Estimate]:
    note = unfit(cloud, update)
    if note:
        return {"": Estimate.undefined(note, len(cloud.points))}
    earlier, target = _earlier(cloud), centred(cloud)
    size = (target - earlier if update else target).square().sum(dim=1)
    if not size.sum() > 0:
        return {"": Estimate.undefined("the update is the same at every point", len(size))}
    fit = _fit(cloud)
    missed = fit.left_over.sum() / size.sum()
    error = clustered((missed * size - fit.left_over) / size.mean(), cloud.items)
    trivial = fit.rank >= len(size) - 1
    told = (
        f"{len(size)} points and {fit.rank} directions to fit them with: 1 whatever the layer does" if trivial else None
    )
    return {"": Estimate(1 - missed.item(), error, len(size), note=told)}


def _fit(cloud: Cloud) -> Fit:
    if "linear fit" not in cloud.cache:
        cloud.cache["linear fit"] = _least_squares(_earlier(cloud), centred(cloud))
    return cast(Fit, cloud.cache["linear fit"])


def _least_squares(earlier: Float[Tensor, "points before"], target: Float[Tensor, "points width"]) -> Fit:
    """By the eigenvectors of the smaller of X'X and XX', with directions below 1e-6 of the longest left out: their
    squares are the rounding of float64."""
    points, before = earlier.shape
    tall = points >= before
    squares, vectors = torch.linalg.eigh(earlier.T @ earlier if tall else earlier @ earlier.T)
    keep = squares > 1e-12 * squares[-1]
    squares, vectors = squares[keep], vectors[:, keep]
    if tall:
        solution = vectors @ ((vectors.T @ (earlier.T @ target)) / squares[:, None])
        residual = target - earlier @ solution
    else:
        residual = target - vectors @ (vectors.T @ target)
    return Fit(residual.square().sum(dim=1), int(keep.sum()))


def _earlier(cloud: Cloud) -> Float[Tensor, "points previous_width"]:
    if "earlier" not in cloud.cache:
        cloud.cache["earlier"] = centred(Cloud(cast(Tensor, cloud.previous)))
    return cast(Tensor, cloud.cache["earlier"])


_ERROR = "infinitesimal jackknife over texts, the linear map taken as given"
_SOURCE = "Razzhigaev et al. 2024, arXiv:2405.12250"
_LAWS = frozenset({"translation", "rotation", "scaling", "permutation"})
MEASURES = (
    LayerMeasure(
        "linearity",
        1,
        "share",
        None,
        1.0,
        _SOURCE,
        _LAWS,
        _ERROR,
        linearity,
        linearity_as_released,
        needs_previous=True,
    ),
    LayerMeasure(
        "linearity_of_update",
        1,
        "share",
        None,
        1.0,
        _SOURCE,
        _LAWS,
        _ERROR,
        linearity_of_update,
        linearity_of_update_as_released,
        needs_previous=True,
    ),
)
