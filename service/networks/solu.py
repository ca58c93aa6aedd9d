"""SoLU, the activation function of networks whose neurons are meant to be easier to read, under the name ``solu``."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm
from transformers.activations import ACT2FN

NAME = "solu"


class SoLU(nn.Module):
    """LayerNorm(x softmax(x)) over the last dimension.

    The norm has no scale and no shift of its own: a linear layer follows it in every block, which takes both in.
    Source: Elhage et al. 2022, Softmax Linear Units, transformer-circuits.pub/2022/solu, "SoLU".
    """

    def forward(self, states: Float[Tensor, "*places width"]) -> Float[Tensor, "*places width"]:
        """The activations, each place with mean 0 and variance 1."""
        return layer_norm(states * torch.softmax(states, dim=-1), states.shape[-1:])


class NormedSoLU(nn.Module):
    """LayerNorm(x softmax(x)) over the last dimension, the norm with a scale and a shift of its own: TransformerLens's
    ``solu_ln``. Source: as `SoLU`."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, epsilon)

    def forward(self, states: Float[Tensor, "*places width"]) -> Float[Tensor, "*places width"]:
        """The activations."""
        return self.norm(states * torch.softmax(states, dim=-1))


def make_known() -> None:
    """Let configurations name it: ``hidden_act="solu"``."""
    ACT2FN.setdefault(NAME, SoLU)
