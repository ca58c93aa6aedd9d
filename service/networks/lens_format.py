"""Networks saved in TransformerLens's format, as GPT-2s that compute the same numbers.

They differ from GPT-2 in that the unembedding is its own and has a bias, and SoLU's norm a scale and a shift.
Source: TransformerLens, `components`: attention, layer_norm, mlp, unembed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from service.errors import NetworkMismatch
from service.networks.lens_folders import final_weights
from service.networks.lens_shape import LensShape, lens_shape
from service.networks.solu import NormedSoLU


class LensWeights:
    """The tensors of a pickled state dict, by name. No code that a pickle holds is ever run. Raises NetworkMismatch."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            found = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # what a damaged pickle raises depends on the damage
            raise NetworkMismatch(
                f"{file} could not be read: it is damaged, or holds more than plain tensors"
            ) from error
        if not isinstance(found, Mapping):
            raise NetworkMismatch(f"{file} holds a {type(found).__name__}: a state dict of tensors is needed")
        self.tensors = {name: value.detach() for name, value in found.items() if isinstance(value, Tensor)}

    def take(self, name: str, *shape: int) -> Tensor:
        """The tensor of that name. Raises NetworkMismatch where there is none, or it has another shape."""
        found = self.tensors.get(name)
        if found is None:
            raise NetworkMismatch(f"{self.file} lacks the weight {name}")
        if found.shape != shape:
            raise NetworkMismatch(
                f"{self.file} has {name} of shape {tuple(found.shape)}: its config.json asks for {shape}"
            )
        return found


def lens_module(folder: Path, dtype: torch.dtype | None, attention: str | None) -> nn.Module:
    """The network in `folder` as a GPT-2 with its head, on the CPU; `dtype` None is that of the file.

    Raises NetworkMismatch (files or sizes that do not fit), UnknownName (activation function).
    """
    shape, weights = lens_shape(folder), LensWeights(final_weights(folder))
    named = gpt2_weights(weights, shape)
    with torch.device("meta"):
        module: Any = AutoModelForCausalLM.from_config(shape.gpt2, attn_implementation=attention)
        module.lm_head = nn.Linear(shape.d_model, shape.d_vocab)
        if shape.act_fn == "solu_ln":
            for block in module.transformer.h:
                block.mlp.act = NormedSoLU(shape.d_mlp, shape.ln_eps)
    module.load_state_dict(named, assign=True)
    return module.to(dtype or named["transformer.wte.weight"].dtype)


def gpt2_weights(weights: LensWeights, shape: LensShape) -> dict[str, Tensor]:
    """The weights by GPT-2's names. A file without a bias of the unembedding has zeros there. Raises NetworkMismatch."""
    width, vocabulary = shape.d_model, shape.d_vocab
    weights.tensors.setdefault("unembed.b_U", torch.zeros(vocabulary))
    named = {
        "transformer.wte.weight": weights.take("embed.W_E", vocabulary, width),
        "transformer.wpe.weight": weights.take("pos_embed.W_pos", shape.n_ctx, width),
        **_norm("transformer.ln_f", weights, "ln_final", width),
        "lm_head.weight": weights.take("unembed.W_U", width, vocabulary).T.contiguous(),
        "lm_head.bias": weights.take("unembed.b_U", vocabulary),
    }
    for number in range(shape.n_layers):
        named |= _block(f"transformer.h.{number}", weights, f"blocks.{number}", shape)
    return named


def _block(ours: str, weights: LensWeights, theirs: str, shape: LensShape) -> dict[str, Tensor]:
    """One block; GPT-2 has queries, keys and values in one matrix (width, 3 width), the heads of each side by side."""
    width, heads, each = shape.d_model, shape.n_heads, shape.d_head
    inner = [weights.take(f"{theirs}.attn.W_{name}", heads, width, each).transpose(0, 1) for name in "QKV"]
    biases = [weights.take(f"{theirs}.attn.b_{name}", heads, each) for name in "QKV"]
    return {
        **_norm(f"{ours}.ln_1", weights, f"{theirs}.ln1", width),
        f"{ours}.attn.c_attn.weight": torch.cat([matrix.flatten(1) for matrix in inner], dim=1),
        f"{ours}.attn.c_attn.bias": torch.cat([bias.flatten() for bias in biases]),
        f"{ours}.attn.c_proj.weight": weights.take(f"{theirs}.attn.W_O", heads, each, width).flatten(0, 1),
        f"{ours}.attn.c_proj.bias": weights.take(f"{theirs}.attn.b_O", width),
        **_norm(f"{ours}.ln_2", weights, f"{theirs}.ln2", width),
        f"{ours}.mlp.c_fc.weight": weights.take(f"{theirs}.mlp.W_in", width, shape.d_mlp),
        f"{ours}.mlp.c_fc.bias": weights.take(f"{theirs}.mlp.b_in", shape.d_mlp),
        f"{ours}.mlp.c_proj.weight": weights.take(f"{theirs}.mlp.W_out", shape.d_mlp, width),
        f"{ours}.mlp.c_proj.bias": weights.take(f"{theirs}.mlp.b_out", width),
        **(
            _norm(f"{ours}.mlp.act.norm", weights, f"{theirs}.mlp.ln", shape.d_mlp) if shape.act_fn == "solu_ln" else {}
        ),
    }


def _norm(ours: str, weights: LensWeights, theirs: str, width: int) -> dict[str, Tensor]:
    return {f"{ours}.weight": weights.take(f"{theirs}.w", width), f"{ours}.bias": weights.take(f"{theirs}.b", width)}
