"""The states of every layer of a network on a few inputs: what is compared before and after an edit."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from service.networks.examples import Inputs, pooled_images
from service.networks.loading import Network


@torch.no_grad()
def layer_states(network: Network, inputs: Inputs, batch: int = 64) -> dict[int, Tensor]:
    """The states by depth, float32 (points, width), on the CPU: of texts those at every token, padding left out; of images one
    each, the mean over its places, leading tokens left out."""
    kept: dict[int, list[Tensor]] = {}
    count = len(next(iter(inputs.values())))
    for start in range(0, count, batch):
        some = {name: one[start : start + batch] for name, one in inputs.items()}
        with network.blocks.capturing(partial(_keep, kept, network, some.get("attention_mask"))):
            network.read(some)
    return {depth: torch.cat(found) for depth, found in sorted(kept.items())}


def _keep(kept: dict[int, list[Tensor]], network: Network, mask: Tensor | None, depth: int, states: Tensor) -> None:
    points = pooled_images(network, depth, states) if mask is None else states[mask.bool()]
    kept.setdefault(depth, []).append(points.float().cpu())
