"""The clouds that tests of measures share."""

from __future__ import annotations

import numpy as np
import pytest
import torch


def normal(points, width, seed=0, dtype=torch.float64):
    """A standard Gaussian cloud."""
    return torch.randn(points, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(scope="session")
def gaussian():
    """Make a standard Gaussian cloud."""
    return normal


@pytest.fixture(scope="session")
def ball():
    """Make a uniform ball of some dimension, turned into a space of some width."""

    def make(points, dimension, width, seed=0):
        directions = normal(points, dimension, seed)
        reach = torch.rand(points, 1, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
        inside = directions / directions.norm(dim=1, keepdim=True) * reach ** (1 / dimension)
        frame = torch.linalg.qr(normal(width, dimension, seed + 2)).Q
        return inside @ frame.T

    return make


@pytest.fixture(scope="session")
def golden():
    """The clouds that other implementations were asked about; numpy draws the same ones in every environment."""
    draw = np.random.default_rng(7)
    ball = draw.standard_normal((1000, 5))
    ball *= (draw.random((1000, 1)) ** 0.2) / np.linalg.norm(ball, axis=1, keepdims=True)
    gauss = draw.standard_normal((1000, 30)) * np.linspace(1, 0.05, 30)
    angles = [draw.random(1000) * 6]
    curve = np.stack([f(k * t) for t in angles for k in (1, 2) for f in (np.sin, np.cos)], 1)
    curve = curve + 0.01 * draw.standard_normal((1000, 4))
    repeated, massive = gauss.copy(), gauss.copy()
    repeated[:200] = repeated[200:400]
    massive[:, 3] += 1e4
    clouds = {"ball": ball, "gauss": gauss, "curve": curve, "repeated": repeated, "massive": massive}
    return {name: torch.from_numpy(cloud) for name, cloud in clouds.items()}
