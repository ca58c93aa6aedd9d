"""What a network in TransformerLens's format is, as its config.json says it.

Source: TransformerLens, `loading_from_pretrained.convert_neel_model_config`; fields that it does not read are not read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transformers import GPT2Config

from service.errors import NetworkMismatch, UnknownName
from service.networks.lens_folders import lens_config
from service.networks.solu import NAME as SOLU

# as transformers names them. TransformerLens's "gelu" is the exact one, by the error function; the code that trained the GELU
# networks on C4 and code had the tanh form under that name, which differs from it by less than 0.0005
ACTIVATIONS = {name: name for name in ("gelu", "gelu_new", "gelu_fast", "relu", "silu")} | {"solu_ln": SOLU}
SIZES = ("n_layers", "d_model", "n_heads", "d_head", "d_mlp", "n_ctx", "d_vocab")
ALONE = {  # what these may be, where a configuration names them
    "attn_only": False,
    "shortformer_pos": False,
    "final_rms": False,
    "parallel_attn_mlp": False,
    "gated_mlp": False,
    "use_local_attn": False,
    "scale_attn_by_inverse_layer_idx": False,
    "use_attn_scale": True,
    "positional_embedding_type": "standard",
    "attention_dir": "causal",
    "normalization": "LN",
    "normalization_type": "LN",
}


@dataclass(frozen=True)
class LensShape:
    """Sizes, activation function and the epsilon of the norms, by the format's own names."""

    n_layers: int
    d_model: int
    n_heads: int
    d_head: int
    d_mlp: int
    n_ctx: int
    d_vocab: int
    act_fn: str
    ln_eps: float

    @property
    def gpt2(self) -> GPT2Config:
        """The configuration of the GPT-2 it is loaded as."""
        return GPT2Config(
            vocab_size=self.d_vocab,
            n_positions=self.n_ctx,
            n_embd=self.d_model,
            n_layer=self.n_layers,
            n_head=self.n_heads,
            n_inner=self.d_mlp,
            activation_function=ACTIVATIONS[self.act_fn],
            layer_norm_epsilon=self.ln_eps,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
        )


def lens_shape(folder: Path) -> LensShape:
    """What the configuration in `folder` says. Raises NetworkMismatch, UnknownName (activation function)."""
    file, config = folder / "config.json", lens_config(folder) or {}
    for name in SIZES:
        if type(config.get(name)) is not int or config[name] < 1:
            raise NetworkMismatch(f"{file} has {name} {config.get(name)!r}: a whole number from 1 is needed")
    for name, needed in ALONE.items():
        if config.get(name, needed) != needed:
            raise NetworkMismatch(f"{file} has {name} {config[name]!r}: only networks with {needed!r} can be loaded")
    if config["act_fn"] not in ACTIVATIONS:
        raise UnknownName.of(f"act_fn in {file}", str(config["act_fn"]), ACTIVATIONS)
    if config["n_heads"] * config["d_head"] != config["d_model"]:
        raise NetworkMismatch(
            f"{file} has {config['n_heads']} heads of width {config['d_head']}: together they need be {config['d_model']}"
        )
    epsilon = config.get("ln_eps", config.get("eps", 1e-5))
    return LensShape(**{name: config[name] for name in SIZES}, act_fn=config["act_fn"], ln_eps=float(epsilon))
