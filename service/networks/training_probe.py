"""A fixed batch of tokens that is shown to a network while it trains, and the states it has at chosen layers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from service.errors import BadInput, BadShape
from service.networks.blocks import Blocks, find_blocks
from service.networks.text_sources import python_reference
from service.subjects import Stream

PROBE_WINDOWS = 8
PROBE_LENGTH = 128


class Probe:
    """The batch, the layers that are read, and the way there.

    `token_ids` (windows, length), without padding, stays the same for the whole training: what changes is the network.
    `layers` are depths as everywhere (0 the embedding, 1 to L the blocks' outputs); None: the middle block and the last.
    Raises BadShape, BadInput for a layer that is not there, NetworkMismatch where the blocks are not found.
    """

    def __init__(
        self, module: nn.Module, token_ids: Int[Tensor, "windows length"], layers: Sequence[int] | None
    ) -> None:
        if token_ids.ndim != 2 or token_ids.is_floating_point():
            raise BadShape(f"a probe needs whole token ids (windows, length); got shape {tuple(token_ids.shape)}")
        self.module = module
        self.token_ids = token_ids.to(next(module.parameters()).device)
        with undisturbed(module):
            self.blocks = _found(module, self.token_ids[:1, :8])
        depth = self.blocks.layers
        self.layers = tuple(sorted(set(layers if layers is not None else ((depth + 1) // 2, depth))))
        strange = [layer for layer in self.layers if not 0 <= layer <= depth + self.blocks.normed]
        if strange:
            raise BadInput(
                f"layer {strange[0]} is not there: this network has layers 0 to {depth + self.blocks.normed}"
            )

    @property
    def name(self) -> str:
        """How the store names the batch: its size and a digest of its tokens."""
        ids = self.token_ids.cpu().to(torch.int64)
        digest = hashlib.blake2b(ids.numpy().tobytes(), digest_size=4).hexdigest()
        return f"probe[{ids.shape[0]}x{ids.shape[1]}:{digest}]"

    def stream(self, layer: int) -> Stream:
        """The stream that a layer's states are of."""
        if layer == 0:
            return "embedding"
        return "final" if layer > self.blocks.layers else "residual"

    def states(self) -> dict[int, Float[Tensor, "points width"]]:
        """The states by layer, one row a token, on the CPU. The training is left as it was: mode, gradients, random state."""
        found: dict[int, Tensor] = {}

        def take(depth: int, states: Tensor) -> None:
            if depth in self.layers:
                found[depth] = states.detach().flatten(0, 1)

        trunk = getattr(self.module, "base_model", self.module)  # no logits are needed, and they are the widest layer
        with undisturbed(self.module), self.blocks.capturing(take):
            trunk(self.token_ids)
        return {layer: states.float().cpu() for layer, states in sorted(found.items())}


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients for the block; afterwards every submodule is in the mode that it was in."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True


def _found(module: nn.Module, token_ids: Tensor) -> Blocks:
    config: Any = getattr(module, "config", None)
    if config is None:
        raise BadInput(
            f"a transformers network is needed, whose config says how many layers it has; got {type(module)}"
        )
    return find_blocks(module, config.get_text_config(decoder=True).num_hidden_layers, token_ids)


def text_probe(
    tokenizer: Any, texts: Sequence[str] | None = None, windows: int = PROBE_WINDOWS, length: int = PROBE_LENGTH
) -> Int[Tensor, "windows length"]:
    """A probe batch cut from texts (None: the language reference that Python carries), each window from another text where
    there are enough. Raises BadInput where the texts are too short."""
    found: list[list[int]] = []
    for text in texts if texts is not None else python_reference().texts:
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) >= length:
            found.append(ids[:length])
        if len(found) == windows:
            return torch.tensor(found)
    raise BadInput(f"a probe needs {windows} texts of {length} tokens or more; got {len(found)}")
