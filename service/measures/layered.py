"""The same tokens' states at every depth of a network: what drift and separability are measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from service.errors import BadShape
from service.results import SampledTokens

FEWEST_DOCUMENTS = 20


@dataclass(frozen=True, eq=False)
class Layered:
    """The same tokens' states at several depths: `states[k]` is the cloud at depth `layers[k]`, 0 being the embedding.

    `item_id`, `char_end` and `position` say where each token stands; `text` numbers what must be held out whole: the
    document that it is from where there are `FEWEST_DOCUMENTS` or more, else the window.
    """

    layers: tuple[int, ...]
    states: Float[Tensor, "layers points width"]
    item_id: Int[Tensor, " points"]
    char_end: Int[Tensor, " points"]
    position: Int[Tensor, " points"]
    text: Int[Tensor, " points"]

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return len(self.text.unique())

    def on(self, device: torch.device) -> Layered:
        """The states on a device; what says where the tokens stand stays on the CPU."""
        return replace(self, states=self.states.to(device))

    def from_layer(self, first: int) -> Layered:
        """The clouds at depth `first` and deeper."""
        start = self.layers.index(first)
        return replace(self, layers=self.layers[start:], states=self.states[start:])

    def with_states(self, states: Float[Tensor, "layers points width"]) -> Layered:
        """The same tokens with other states."""
        return replace(self, states=states)

    def where(self, keep: Bool[Tensor, " points"] | Int[Tensor, " kept"]) -> Layered:
        """The clouds of the tokens that are kept; indices may repeat."""
        kept = {name: getattr(self, name)[keep] for name in ("item_id", "char_end", "position", "text")}
        return replace(self, states=self.states[:, keep], **kept)


def layered(
    layers: Sequence[int],
    states: Sequence[Float[Tensor, "points width"]],
    sample: SampledTokens,
    documents: Mapping[int, int] | None = None,
) -> Layered:
    """The clouds of `layers` in one tensor; `documents` says which document each item is from.

    Raises BadShape where the states are all alike.
    """
    stacked = torch.stack([cloud.float() for cloud in states])
    if bool((stacked == stacked[:1, :1]).all()):
        raise BadShape("the states of all tokens and layers are one and the same: there is nothing to tell apart")
    text = held_together(sample.item_id, documents)
    return Layered(tuple(layers), stacked, sample.item_id, sample.char_end, sample.position, text)


def held_together(item_id: Int[Tensor, " points"], documents: Mapping[int, int] | None) -> Int[Tensor, " points"]:
    """What must be held out whole: each item's document, or the item itself where there are too few documents."""
    known = documents or {}
    owner = torch.tensor([known.get(item, item) for item in item_id.tolist()], dtype=torch.int64)
    return owner if len(owner.unique()) >= FEWEST_DOCUMENTS else item_id
