"""Clouds of several layers to tell apart, small and seeded."""

from __future__ import annotations

import torch

from service.measures.layered import Layered


def some_clouds(layers=4, texts=20, tokens=15, width=6, apart=0.0, seed=0):
    """Gaussian clouds of one covariance whose centroids lie `apart` standard deviations from each other, in random
    directions."""
    draw = torch.Generator().manual_seed(seed)
    points = texts * tokens
    centres = torch.nn.functional.normalize(torch.randn(layers, width, generator=draw), dim=1)
    states = torch.randn(layers, points, width, generator=draw) + apart * centres[:, None]
    places = torch.arange(points)
    return Layered(
        tuple(range(layers)), states, places // tokens, places % tokens + 1, places % tokens, places // tokens
    )
