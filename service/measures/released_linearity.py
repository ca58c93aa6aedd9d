"""Linearity as its authors' code takes it, and what both procedures ask of a cloud before they fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.declaration import Cloud
from service.measures.spectrum import spread_out
from service.results import Estimate


def linearity_as_released(cloud: Cloud) -> Mapping[str, Estimate]:
    """As the authors' code takes it: in the dtype of the points, dividing by every singular value of X, however small,
    so that rounding rules where X lacks a direction. Source: procrustes_similarity in LLM_microscope.ipynb,
    https://github.com/AIRI-Institute/LLM-Microscope"""
    return _released(cloud, update=False)


def linearity_of_update_as_released(cloud: Cloud) -> Mapping[str, Estimate]:
    """As `linearity_as_released`, of the update Y - X. Source: procrustes_similarity_centered, same place."""
    return _released(cloud, update=True)


def _released(cloud: Cloud, update: bool) -> Mapping[str, Estimate]:
    note = unfit(cloud, update)
    if note:
        return {"": Estimate.undefined(note, len(cloud.points))}
    previous = cast(Tensor, cloud.previous)
    exact = torch.promote_types(torch.promote_types(cloud.points.dtype, previous.dtype), torch.float32)
    earlier, target = previous.to(exact), cloud.points.to(exact)
    target = target - earlier if update else target
    earlier, target = _normalised(earlier), _normalised(target)
    left, sizes, right = torch.linalg.svd(earlier, full_matrices=False)
    solution = (right.T / sizes) @ left.T @ target
    value = 1 - (earlier @ solution - target).square().sum().item()
    return {
        "": Estimate(
            value,
            None,
            len(target),
            note="not a number: a singular value of zero was divided by, or the dtype overflowed"
            if value != value
            else None,
        )
    }


def _normalised(points: Float[Tensor, "points width"]) -> Float[Tensor, "points width"]:
    differences = points - points.mean(dim=0, keepdim=True)
    return differences / differences.norm()


def unfit(cloud: Cloud, update: bool) -> str | None:
    """Why there is nothing to fit, if so."""
    points, previous = cloud.points, cloud.previous
    if previous is None:
        return "no earlier site"
    if len(points) < 2:
        return f"needs at least 2 points; the cloud has {len(points)}"
    if update and points.shape[1] != previous.shape[1]:
        return f"the earlier site has width {previous.shape[1]}, this one {points.shape[1]}: there is no update"
    for states, where in ((points, "here"), (previous, "at the earlier site")):
        if not spread_out(Cloud(states)):
            return f"the {len(points)} points do not differ {where}"
    return None
