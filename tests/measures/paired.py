"""Pairs of clouds that the tests of pair measures share."""

from __future__ import annotations

import numpy as np
import torch

from service.measures import Cloud


def related(seed=0, points=120, width_a=6, width_b=5, noise=0.5, dtype=torch.float64):
    """Two clouds of one origin, the second bent, with noise, and of another width."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(points, width_a, generator=draw, dtype=torch.float64) * torch.linspace(2, 0.5, width_a) + 1
    mixed = torch.randn(width_a, width_b, generator=draw, dtype=torch.float64)
    y = torch.tanh(x @ mixed * 0.5) + noise * torch.randn(points, width_b, generator=draw, dtype=torch.float64)
    return Cloud(x.to(dtype)), Cloud(y.to(dtype))


def unrelated(points, width_a, width_b, seed):
    """Two independent Gaussian clouds."""
    draw = torch.Generator().manual_seed(seed)
    sizes = ((points, width_a), (points, width_b))
    return tuple(Cloud(torch.randn(*size, generator=draw, dtype=torch.float64)) for size in sizes)


def of_texts(seed, texts=20, tokens=10):
    """Two independent clouds of the same tokens of the same texts; those of one text lie together in either."""
    draw = torch.Generator().manual_seed(seed)
    items = torch.arange(texts).repeat_interleave(tokens)
    return tuple(
        Cloud(
            2 * torch.randn(texts, width, generator=draw, dtype=torch.float64)[items]
            + torch.randn(texts * tokens, width, generator=draw, dtype=torch.float64),
            items,
        )
        for width in (4, 3)
    )


def golden_pair():
    """The pair that other implementations were asked about; numpy draws the same one in every environment."""
    draw = np.random.default_rng(11)
    x = draw.standard_normal((300, 12)) * np.linspace(2, 0.3, 12) + 1
    y = np.tanh(x @ draw.standard_normal((12, 9)) * 0.5) + 0.5 * draw.standard_normal((300, 9))
    return Cloud(torch.from_numpy(x)), Cloud(torch.from_numpy(y))


def rotated(cloud, seed):
    """The cloud turned."""
    width = cloud.points.shape[1]
    draw = torch.Generator().manual_seed(seed)
    return Cloud(cloud.points @ torch.linalg.qr(torch.randn(width, width, generator=draw, dtype=torch.float64)).Q)


def shifted(cloud, seed):
    """The cloud moved away."""
    draw = torch.Generator().manual_seed(seed)
    return Cloud(cloud.points + 20 * torch.randn(cloud.points.shape[1], generator=draw, dtype=torch.float64))


def scaled(cloud, seed):
    """The cloud made larger or smaller."""
    return Cloud(cloud.points * 1.7 * 10.0 ** (seed % 7 - 3))


def mapped(cloud, seed):
    """The cloud under an invertible map that is no rotation."""
    width = cloud.points.shape[1]
    draw = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(width, width, generator=draw, dtype=torch.float64)).Q
    return Cloud(cloud.points * torch.logspace(-0.5, 0.5, width, dtype=torch.float64) @ turn)


ONE_CLOUD = {"rotation": rotated, "translation": shifted, "scaling": scaled, "invertible": mapped}
