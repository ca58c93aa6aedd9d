"""Which dimensions a linear classifier decides by, and what it does without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.errors import BadShape
from service.measures.layered import Layered


def contributions(weights: Float[Tensor, "classes width"]) -> Float[Tensor, "classes width"]:
    """The share of each dimension in each class's decision, in per cent; every row sums to 100.

    Formula: 100 |w_kj| / sum_j |w_kj|, for weights that belong to standardised points.
    Source: Huang 2024, Exploring the Evolution and Migration of Different Layer Embedding in LLMs
    """
    sizes = weights.double().abs()
    return 100 * sizes / sizes.sum(1, keepdim=True)


def top_dimensions(shares: Float[Tensor, "*classes width"], count: int) -> Int[Tensor, "*classes count"]:
    """The `count` dimensions that contribute most, largest first."""
    return shares.topk(count, dim=-1).indices


def refuse_dimensions(dimensions: Sequence[int], width: int) -> None:
    """Raise BadShape unless the dimensions are those of a vector of that width, and are not all of them."""
    strange = [one for one in dimensions if not 0 <= one < width]
    if strange:
        raise BadShape(f"dimension {strange[0]} is out of range: the states have dimensions 0 to {width - 1}")


def masked(clouds: Layered, dimensions: Int[Tensor, " count"], by: Float[Tensor, " width"] | float = 0.0) -> Layered:
    """The clouds with some dimensions of every state set to a constant: 0, or what `by` holds for each dimension."""
    states = clouds.states.clone()
    states[:, :, dimensions] = by[dimensions] if isinstance(by, Tensor) else by
    return replace(clouds, states=states)


def random_dimensions(width: int, count: int, seed: int) -> Int[Tensor, " count"]:
    """As many dimensions drawn at random: the control of a mask."""
    return torch.randperm(width, generator=torch.Generator().manual_seed(seed))[:count]


def overlap(first: Int[Tensor, "classes count"], second: Int[Tensor, "classes count"]) -> list[float]:
    """The share of top dimensions that two classifiers have in common, for each class; count / width is chance."""
    shared = (first[:, :, None] == second[:, None, :]).any(2).double().mean(1)
    return [float(one) for one in shared]
