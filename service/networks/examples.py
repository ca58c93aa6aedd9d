"""Items as the examples that a network was trained on, or is asked about: inputs by name, some items at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from service.errors import BadInput
from service.networks.batches import padded
from service.networks.datasets import TextWindows
from service.networks.image_datasets import ImageItems
from service.networks.loading import Network
from service.networks.places import grid_of, patch_grid
from service.networks.vision import VisionNetwork

Inputs = dict[str, Tensor]
Reader = Callable[[Sequence[int]], Inputs]


def reader_of(network: Network, items: Any) -> Reader:
    """A function from items to what the network is given of them, on its device. Raises BadInput."""
    if isinstance(items, ImageItems) and isinstance(network, VisionNetwork):
        return lambda chosen: network.inputs([items.image(item) for item in chosen])
    if not isinstance(items, TextWindows) or network.tokenizer is None:
        raise BadInput(f"{network.checkpoint.label} cannot read {items.dataset.name}")
    windows = {one.item_id: one for one in items.stream(network.tokenizer, network.max_length)}
    pad = network.tokenizer.pad_token_id or 0
    return lambda chosen: padded([windows[item] for item in chosen], pad, network.device)


def leading_tokens(network: Network, layer: int) -> int:
    """How many tokens of a layer lie nowhere in an image (a class token, registers); 0 of a network that reads text."""
    if not isinstance(network, VisionNetwork):
        return 0
    return grid_of(network.found.shapes[layer], patch_grid(getattr(network.module, "config", None))).leading


def pooled_states(network: Network, layer: int, inputs: Inputs) -> Float[Tensor, "examples width"]:
    """The states of a layer, the mean over each example's places; padding and leading tokens of images are left out."""
    found: list[Tensor] = []

    def take(depth: int, states: Tensor) -> None:
        if depth == layer:
            found.append(states.float())

    with torch.inference_mode(), network.blocks.capturing(take):
        network.read(inputs)
    mask = inputs.get("attention_mask")
    if mask is not None and found[0].ndim == 3:
        return (found[0] * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return pooled_images(network, layer, found[0])


def pooled_images(network: Network, layer: int, states: Tensor) -> Float[Tensor, "images width"]:
    """The states of a layer, the mean over each image's places; leading tokens are left out."""
    if states.ndim == 4:  # of a convolution
        states = states.flatten(2).mT
    return states[:, leading_tokens(network, layer) :].mean(1) if states.ndim == 3 else states
