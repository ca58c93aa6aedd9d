"""Random networks in TransformerLens's format, and what they compute, written out by einsum from the format's definition."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tiny_networks import tokenizer_for
from torch import Tensor

SIZES = {"n_layers": 2, "d_model": 24, "n_heads": 3, "d_head": 8, "d_mlp": 40, "n_ctx": 64, "d_vocab": 300}
USUAL = {"attn_only": False, "normalization": "LN", "shortformer_pos": False, "ln_eps": 1e-5}
NAMED = {"seed": 3, "tokenizer_name": "NeelNanda/gpt-neox-tokenizer-digits", "betas": [0.9, 0.99]}


def random_weights(act_fn: str, seed: int = 0) -> dict[str, Tensor]:
    """A state dict as training leaves it, buffers and all; no norm is the identity, no bias 0."""
    width, heads, each, inner, length, tokens = (
        SIZES[name] for name in ("d_model", "n_heads", "d_head", "d_mlp", "n_ctx", "d_vocab")
    )
    shapes: dict[str, tuple[int, ...]] = {"embed.W_E": (tokens, width), "pos_embed.W_pos": (length, width)}
    shapes |= {"ln_final.w": (width,), "ln_final.b": (width,)}
    shapes |= {"unembed.W_U": (width, tokens), "unembed.b_U": (tokens,)}
    for block in range(SIZES["n_layers"]):
        at = f"blocks.{block}"
        shapes |= {f"{at}.{norm}.{part}": (width,) for norm in ("ln1", "ln2") for part in "wb"}
        shapes |= {f"{at}.attn.W_{part}": (heads, width, each) for part in "QKV"}
        shapes |= {f"{at}.attn.b_{part}": (heads, each) for part in "QKV"}
        shapes |= {f"{at}.attn.W_O": (heads, each, width), f"{at}.attn.b_O": (width,)}
        shapes |= {f"{at}.mlp.W_in": (width, inner), f"{at}.mlp.b_in": (inner,)}
        shapes |= {f"{at}.mlp.W_out": (inner, width), f"{at}.mlp.b_out": (width,)}
        shapes |= {f"{at}.mlp.ln.{part}": (inner,) for part in "wb" if act_fn == "solu_ln"}
    draw = torch.Generator().manual_seed(seed)
    weights = {name: 0.4 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    for block in range(SIZES["n_layers"]):
        weights[f"blocks.{block}.attn.mask"] = torch.ones(length, length).tril().bool()
        weights[f"blocks.{block}.attn.IGNORE"] = torch.tensor(-1e5)
    return weights


def saved_lens(
    folder: Path, act_fn: str, weights: dict[str, Tensor] | None = None, tokenizer: bool = True, **changes: Any
) -> Path:
    """A network as a folder of the format: configuration, weights, and a tokenizer of its vocabulary."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**SIZES, **USUAL, **NAMED, "act_fn": act_fn, **changes}))
    torch.save(random_weights(act_fn) if weights is None else weights, folder / "model_final.pth")
    if tokenizer:
        tokenizer_for("causal").save_pretrained(folder)
    return folder


def computed(weights: dict[str, Tensor], tokens: Tensor, act_fn: str) -> tuple[list[Tensor], Tensor, Tensor]:
    """The residual stream before the first block and after each, the normed one, and the logits."""
    states = weights["embed.W_E"][tokens] + weights["pos_embed.W_pos"][: tokens.shape[1]]
    seen = torch.ones(tokens.shape[1], tokens.shape[1]).tril() > 0
    stream = [states]
    for block in range(SIZES["n_layers"]):
        part = {name.split(".", 2)[2]: value for name, value in weights.items() if name.startswith(f"blocks.{block}.")}
        states = states + _attended(part, _normed(part, "ln1", states), seen)
        states = states + _mlp(part, _normed(part, "ln2", states), act_fn)
        stream.append(states)
    normed = _normed(weights, "ln_final", states)
    return stream, normed, torch.einsum("bpm,mv->bpv", normed, weights["unembed.W_U"]) + weights["unembed.b_U"]


def _normed(weights: dict[str, Tensor], name: str, states: Tensor) -> Tensor:
    centred = states - states.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return centred / scale * weights[f"{name}.w"] + weights[f"{name}.b"]


def _attended(part: dict[str, Tensor], states: Tensor, seen: Tensor) -> Tensor:
    query, key, value = (
        torch.einsum("bpm,imh->bpih", states, part[f"attn.W_{name}"]) + part[f"attn.b_{name}"] for name in "QKV"
    )
    scores = torch.einsum("bpih,bqih->bipq", query, key) / SIZES["d_head"] ** 0.5
    pattern = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    mixed = torch.einsum("bipq,bqih->bpih", pattern, value)
    return torch.einsum("bpih,ihm->bpm", mixed, part["attn.W_O"]) + part["attn.b_O"]


def _mlp(part: dict[str, Tensor], states: Tensor, act_fn: str) -> Tensor:
    inner = torch.einsum("bpm,mn->bpn", states, part["mlp.W_in"]) + part["mlp.b_in"]
    if act_fn == "solu_ln":
        inner = _normed(part, "mlp.ln", inner * inner.exp() / inner.exp().sum(-1, keepdim=True))
    else:
        inner = inner * (1 + torch.erf(inner / 2**0.5)) / 2
    return torch.einsum("bpn,nm->bpm", inner, part["mlp.W_out"]) + part["mlp.b_out"]
