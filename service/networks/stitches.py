"""Two frozen networks with a map between them: the first one's blocks up to a layer, then the second one's after another."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from service.errors import BadInput, NetworkMismatch
from service.networks.batches import padded
from service.networks.frozen import frozen
from service.networks.loading import Network
from service.networks.stitch_maps import StitchMap
from service.networks.token_windows import TokenWindow

Inputs = dict[str, Tensor]


class _Reached(Exception):
    """A forward pass has come to the layer that was asked for."""


@dataclass(frozen=True, eq=False)
class Stitch:
    """`bottom` (A) up to its layer `layer_a` and `top` (B) from the block after its layer `layer_b` on; layers count the
    blocks' outputs, 1 to L.

    Raises NetworkMismatch (other vocabularies, networks that do not predict the next token), BadInput (no such layer).
    """

    bottom: Network
    top: Network
    layer_a: int
    layer_b: int

    def __post_init__(self) -> None:
        for network, layer in ((self.bottom, self.layer_a), (self.top, self.layer_b)):
            _refuse_layer(network, layer)
        refuse_pair(self.bottom, self.top)

    @property
    def max_length(self) -> int | None:
        """The longest input that both read."""
        limits = [network.max_length for network in (self.bottom, self.top) if network.max_length is not None]
        return min(limits, default=None)

    def frozen(self) -> AbstractContextManager[None]:
        """Within the block no weight of either network asks for a gradient, and neither is in training mode."""
        return frozen(self.bottom.module, self.top.module)

    def inputs(self, windows: Sequence[TokenWindow]) -> Inputs:
        """The windows as both networks read them."""
        return padded(windows, self.top.tokenizer.pad_token_id or 0, self.top.device)

    def states_below(self, inputs: Inputs) -> Float[Tensor, "windows length width_a"]:
        """A's state at `layer_a`, where B is."""
        return states_at(self.bottom, self.layer_a, inputs).to(self.top.device)

    def logits(
        self, phi: StitchMap, inputs: Inputs, below: Float[Tensor, "windows length width_a"] | None = None
    ) -> Float[Tensor, "windows length vocabulary"]:
        """What the stitched network predicts: B's blocks after `layer_b` on phi of `states_below`, which may be known."""
        states = self.states_below(inputs) if below is None else below
        given = next(self.top.module.parameters()).dtype
        with self.top.blocks.starting_after(self.layer_b, lambda: phi(states).to(given)):
            return self.top.module(**inputs).logits

    def paired_states(self, windows: Sequence[TokenWindow], batch: int) -> tuple[Tensor, Tensor]:
        """The states (tokens, width) of A at `layer_a` and of B at `layer_b` at all tokens of the windows, on the CPU."""
        kept: tuple[list[Tensor], list[Tensor]] = ([], [])
        for start in range(0, len(windows), batch):
            inputs = self.inputs(windows[start : start + batch])
            there = inputs["attention_mask"].bool()
            for side, (network, layer) in zip(kept, self._ends, strict=True):
                side.append(states_at(network, layer, inputs)[there].float().cpu())
        return torch.cat(kept[0]), torch.cat(kept[1])

    @property
    def _ends(self) -> tuple[tuple[Network, int], tuple[Network, int]]:
        return (self.bottom, self.layer_a), (self.top, self.layer_b)


@torch.no_grad()
def states_at(network: Network, layer: int, inputs: Inputs) -> Float[Tensor, "windows length width"]:
    """The output of block `layer`; what comes after it is not computed."""
    found: list[Tensor] = []

    def take(depth: int, states: Tensor) -> None:
        if depth == layer:
            found.append(states)
            raise _Reached

    with network.blocks.capturing(take):
        try:
            network.module(**inputs)
        except _Reached:
            return found[0]
    raise NetworkMismatch(f"layer {layer} of {network.checkpoint.label} is not called in a forward pass over a batch")


def refuse_pair(first: Network, second: Network) -> None:
    """Raises NetworkMismatch where two networks cannot be stitched, whatever the layers."""
    for network in (first, second):
        if not network.predicts or network.facts.kind != "decoder":
            raise NetworkMismatch(
                f"{network.checkpoint.label} does not predict the next token: only decoders with a head are stitched"
            )
    labels = f"{first.checkpoint.label} and {second.checkpoint.label}"
    one, other = (network.tokenizer.get_vocab() for network in (first, second))
    if len(one) != len(other):
        raise NetworkMismatch(
            f"{labels} have vocabularies of {len(one)} and {len(other)} tokens: stitched networks read the same tokens"
        )
    differing = [token for token, place in one.items() if other.get(token) != place]
    if differing:
        raise NetworkMismatch(
            f"{labels} have vocabularies that differ in {len(differing)} of {len(one)} tokens, {min(differing)!r} among "
            "them: stitched networks read the same tokens"
        )


def _refuse_layer(network: Network, layer: int) -> None:
    if not 1 <= layer <= network.blocks.layers:
        raise BadInput(
            f"layer {layer} is not there: {network.checkpoint.label} has layers 1 to {network.blocks.layers} to stitch at"
        )
