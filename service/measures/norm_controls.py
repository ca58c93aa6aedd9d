"""Is it only the norm? Clouds without their norms, norms without their directions, and random directions with real norms."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from service.measures.layered import Layered


def norms(clouds: Layered) -> Float[Tensor, "layers points"]:
    """The Euclidean length of every state."""
    return torch.linalg.vector_norm(clouds.states, dim=2, dtype=torch.float64)


def unit_vectors(clouds: Layered) -> Layered:
    """Every state scaled to length 1; one of length 0 stays."""
    lengths = norms(clouds).clamp(min=1e-30).to(clouds.states.dtype)
    return clouds.with_states(clouds.states / lengths[:, :, None])


def norms_alone(clouds: Layered) -> Layered:
    """States of two dimensions: a norm and its logarithm."""
    lengths = norms(clouds)
    return replace(clouds, states=torch.stack([lengths, lengths.clamp(min=1e-30).log()], dim=2).float())


def random_directions(clouds: Layered, seed: int) -> Layered:
    """Random directions, uniform on the sphere, with norms drawn from each layer's own: the empirical distribution."""
    generator = torch.Generator().manual_seed(seed)
    layers, points = clouds.states.shape[:2]
    drawn = torch.randint(points, (layers, points), generator=generator)
    return _of_norms(clouds, norms(clouds).cpu().gather(1, drawn), generator)


def released_random_directions(clouds: Layered, seed: int) -> Layered:
    """The control as released: norms from a Gaussian whose standard deviation is each layer's *variance* of norms."""
    generator = torch.Generator().manual_seed(seed)
    lengths = norms(clouds).cpu()
    drawn = torch.randn(lengths.shape, generator=generator, dtype=torch.float64)
    return _of_norms(clouds, lengths.mean(1, keepdim=True) + lengths.var(1, keepdim=True) * drawn, generator)


def _of_norms(clouds: Layered, lengths: Float[Tensor, "layers points"], generator: torch.Generator) -> Layered:
    directions = torch.randn(clouds.states.shape, generator=generator)
    directions /= torch.linalg.vector_norm(directions, dim=2, keepdim=True)
    states = directions * lengths.float()[:, :, None]
    return replace(clouds, states=states.to(clouds.states.device))
