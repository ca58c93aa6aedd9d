"""What tells one set of weights from another: a digest of a module's weights by name."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def module_digest(module: nn.Module, said: str = "") -> str:
    """16 hex digits over a module's parameters and buffers by name, number format and shape, and over `said`."""
    digest = hashlib.sha256(said.encode())
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(bits(value).numpy().data)
    return digest.hexdigest()[:16]


def bits(value: Tensor) -> Tensor:
    """A tensor's bytes, on the CPU."""
    return value.detach().cpu().contiguous().flatten().view(torch.uint8)


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same to the last bit: a zero is not its negative, and a NaN equals itself."""
    alike = one.shape == other.shape and one.dtype == other.dtype
    return alike and torch.equal(bits(one), bits(other))
