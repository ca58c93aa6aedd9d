"""What a layer is given over a text, as the second moment of its inputs: how much each direction is used for other things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from service.errors import BadInput, NetworkMismatch
from service.networks.batches import CPU_BATCH, padded
from service.networks.datasets import Items, TextWindows
from service.networks.loading import Network
from service.networks.token_windows import TokenWindow

CUDA_BATCH = 64  # windows


class _Reached(Exception):
    """A forward pass has come to the layer."""


@dataclass(frozen=True, eq=False)
class KeyMoments:
    """C = E[k k'] of the inputs k of the module named `layer`, over `tokens` tokens of text; float64, on the CPU."""

    layer: str
    moments: Float[Tensor, "inputs inputs"]
    tokens: int


def key_moments(network: Network, layer: str, items: Items, tokens: int = 50_000) -> KeyMoments:
    """The moments of a layer's inputs over the first `tokens` tokens of a text, fewer where it has fewer. Padding enters
    nothing, and what comes after the layer is not computed. Products are the network's own precision, sums float64.

    Raises BadInput for images and for inputs that are no numbers, NetworkMismatch where the layer is not given tokens.
    """
    if not isinstance(items, TextWindows) or network.tokenizer is None:
        raise BadInput(
            f"the moments of keys need a text and a decoder: {items.dataset.name} and {network.checkpoint.label}"
        )
    module: Any = network.module.get_submodule(layer)
    total: Tensor | None = None
    seen = 0
    with torch.no_grad():
        for windows in _batches(network, items, tokens):
            inputs = padded(windows, network.tokenizer.pad_token_id or 0, network.device)
            keys = layer_input(network, module, layer, inputs)[inputs["attention_mask"].bool()][: tokens - seen].float()
            own = (keys.T @ keys).double()
            total, seen = own if total is None else total + own, seen + len(keys)
    if total is None or not total.isfinite().all():
        what = "has no tokens" if total is None else f"makes inputs of {layer} that are no finite numbers"
        raise BadInput(f"the moments of keys need a text that the network reads: {items.dataset.name} {what}")
    return KeyMoments(layer, (total / seen).cpu(), seen)


def layer_input(
    network: Network, module: nn.Module, layer: str, inputs: dict[str, Tensor]
) -> Float[Tensor, "windows length inputs"]:
    """What the module is given in a pass, without what comes after it. Raises NetworkMismatch where these are no tokens."""
    found: list[Tensor] = []

    def before(_: nn.Module, args: tuple[Any, ...]) -> None:
        found.append(args[0])
        raise _Reached

    with _hooked(module.register_forward_pre_hook(before)), suppress(_Reached):
        network.read(inputs)
    if not found or found[0].shape[:-1] != inputs["input_ids"].shape:
        given = f"is given {tuple(found[0].shape)}" if found else "is not called"
        raise NetworkMismatch(f"{layer} {given}: a layer is needed that is given one vector a token")
    return found[0]


@contextmanager
def _hooked(hook: Any) -> Iterator[None]:
    try:
        yield
    finally:
        hook.remove()


def _batches(network: Network, items: TextWindows, tokens: int) -> Iterator[list[TokenWindow]]:
    """Windows in their order until they hold so many tokens."""
    stream, seen = items.stream(network.tokenizer, network.max_length), 0
    size = CUDA_BATCH if network.device.type == "cuda" else CPU_BATCH
    while seen < tokens and (windows := list(islice(stream, size))):
        seen += sum(len(window) for window in windows)
        yield windows
