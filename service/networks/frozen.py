"""Networks that nothing trains for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Within the block no weight of the modules asks for a gradient, and none of them is in training mode; all is as before
    afterwards."""
    asked = [(weight, weight.requires_grad) for module in modules for weight in module.parameters()]
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for module in modules:
            module.requires_grad_(False).eval()
        yield
    finally:
        for weight, before in asked:
            weight.requires_grad_(before)
        for part, training in modes:
            part.training = training
