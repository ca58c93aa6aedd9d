"""The null of a pair: what a measure gives where points are paired at random."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from service.errors import BadInput
from service.results import Estimate, Null


def orders(
    points: int,
    count: int,
    seed: int,
    device: torch.device | None = None,
    items: Int[Tensor, " points"] | None = None,
) -> list[Int[Tensor, " points"]]:
    """`count` random orders of the points. Raises BadInput below 0.

    Where `items` says of which text each point is, and two texts or more have several, whole texts change places: the points
    of one stay together, in their order. Points of one text are alike in any network, so that single points in random order
    are less alike than two networks that have nothing to do with each other.
    """
    if count < 0:
        raise BadInput(f"the number of permutations is 0 or more; got {count}")
    draw = torch.Generator().manual_seed(seed)
    sizes = torch.ones(points, dtype=torch.int64) if items is None else items.unique(return_counts=True)[1].cpu()
    if items is None or (sizes > 1).sum() < 2:
        return [torch.randperm(points, generator=draw).to(device or "cpu") for _ in range(count)]
    by_text = items.argsort(stable=True).cpu()
    texts, found = by_text.split(sizes.tolist()), []
    for _ in range(count):
        moved = torch.cat([texts[text] for text in torch.randperm(len(texts), generator=draw).tolist()])
        found.append(torch.empty_like(moved).scatter_(0, by_text, moved).to(device or "cpu"))  # rows in any order
    return found


def judged(value: float, draws: Sequence[Estimate], larger_is_more_alike: bool) -> Null | None:
    """A value against those of random pairings; None where there are none.

    Formula: z = (value - mean) / standard deviation, positive where more alike than chance; p = (1 + pairings at
    least as alike) / (1 + pairings): whether the pairing matters, not how sure the value is. Source: Phipson and Smyth
    2010, https://doi.org/10.2202/1544-6115.1585 (p is never 0)
    """
    found = [draw.value for draw in draws if draw.value is not None]
    if not found:
        return None
    sign = 1.0 if larger_is_more_alike else -1.0
    mean = math.fsum(found) / len(found)
    std = math.sqrt(math.fsum((one - mean) ** 2 for one in found) / (len(found) - 1)) if len(found) > 1 else 0.0
    alike = sum(sign * one >= sign * value for one in found)
    z = sign * (value - mean) / std if std > 0 else None
    return Null(mean, std, z, (1 + alike) / (1 + len(found)), len(found))
