"""Random networks of many architectures, saved as ordinary folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from service.networks.text_sources import python_reference
from service.networks.training import train_tokenizer

COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}
GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 256}
OPT = {**{name: size for name, size in COMMON.items() if name != "intermediate_size"}, "ffn_dim": 64}
DISTILBERT = {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 256}
DECODERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt_neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", COMMON),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2),
    "llama": ("LlamaForCausalLM", "LlamaConfig", COMMON),
    "opt": ("OPTForCausalLM", "OPTConfig", {**OPT, "word_embed_proj_dim": 32}),
    "opt-projected": (
        "OPTForCausalLM",
        "OPTConfig",
        {**OPT, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
    ),
    "one-layer": ("LlamaForCausalLM", "LlamaConfig", {**COMMON, "num_hidden_layers": 1}),
}
ENCODERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertForMaskedLM", "BertConfig", COMMON),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", COMMON),
    "albert": ("AlbertForMaskedLM", "AlbertConfig", {**COMMON, "embedding_size": 16}),
    "distilbert": ("DistilBertForMaskedLM", "DistilBertConfig", DISTILBERT),
    "modernbert": ("ModernBertForMaskedLM", "ModernBertConfig", COMMON),
}
ARCHITECTURES = {**DECODERS, **ENCODERS}


def tokenizer_for(objective: str):
    """A small tokenizer of the language reference."""
    return train_tokenizer(python_reference().texts[:10], 300, objective)


def saved(name: str, folder: Path, **changes: Any) -> Path:
    """A random network of that architecture as a checkpoint folder, with a tokenizer of its vocabulary."""
    network, config, sizes = ARCHITECTURES[name]
    tokenizer = tokenizer_for("causal" if name in DECODERS else "masked")
    options = {"vocab_size": len(tokenizer), "pad_token_id": 0, **sizes, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = getattr(transformers, network)(getattr(transformers, config)(**options))
    transformers.utils.logging.disable_progress_bar()
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
