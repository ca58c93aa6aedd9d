"""The states of every layer of a network on a few inputs: what is compared before and after an edit."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from service.networks.loading import Network

Inputs = dict[str, Tensor]


@torch.no_grad()
def layer_states(network: Network, inputs: Inputs, batch: int = 64) -> dict[int, Tensor]:
    """The states by depth, float32 (points, width), on the CPU: of texts those at every token, padding left out; of images one
    each, the mean over its places."""
    kept: dict[int, list[Tensor]] = {}
    count = len(next(iter(inputs.values())))
    for start in range(0, count, batch):
        some = {name: one[start : start + batch] for name, one in inputs.items()}
        with network.blocks.capturing(partial(_keep, kept, some.get("attention_mask"))):
            network.read(some)
    return {depth: torch.cat(found) for depth, found in sorted(kept.items())}


def _keep(kept: dict[int, list[Tensor]], mask: Tensor | None, depth: int, states: Tensor) -> None:
    kept.setdefault(depth, []).append(_points(states, mask))


def _points(states: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        return states[mask.bool()].float().cpu()
    if states.ndim == 4:  # of a convolution
        states = states.flatten(2).mT
    return (states.mean(1) if states.ndim == 3 else states).float().cpu()
