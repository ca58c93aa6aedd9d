"""From weights on disk to a network whose layers are known: no pickled code is run, a repository's own only if asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer
from transformers.models.auto import modeling_auto

from service.errors import BadInput, NetworkMismatch
from service.networks import solu
from service.networks.blocks import Blocks, find_blocks
from service.networks.lens_folders import lens_folder
from service.networks.lens_format import lens_module
from service.networks.lens_tokenizer import lens_tokenizer
from service.results import NetworkFacts
from service.subjects import Checkpoint, Stream

DTYPES = {"auto": "auto", "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
UNLOADABLE = (OSError, ValueError, RuntimeError, KeyError, ImportError, AttributeError, TypeError)


@dataclass(frozen=True, eq=False)
class Network:
    """A loaded network with its tokenizer. `predicts` says whether its language-modelling head was really loaded;
    `max_length` is the longest input in tokens, None where there is no limit."""

    checkpoint: Checkpoint
    module: nn.Module
    tokenizer: Any
    facts: NetworkFacts
    blocks: Blocks
    predicts: bool
    max_length: int | None

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    def read(self, inputs: dict[str, Tensor]) -> Any:
        """The module's output for a batch, which lies on its device."""
        return self.module(**inputs)

    @property
    def embedded_tokens(self) -> int:
        """How many tokens the network has an embedding of."""
        module: Any = self.module
        return len(module.get_input_embeddings().weight)

    @property
    def sites(self) -> tuple[tuple[int, Stream, int | None], ...]:
        """(depth, stream, Hugging Face's `hidden_states` entry or None) of every layer, by depth."""
        blocks = self.blocks
        last = blocks.layers if blocks.normed_entry is None else None
        residual: list[tuple[int, Stream, int | None]] = [
            (depth, "residual", depth if depth < blocks.layers else last) for depth in range(1, blocks.layers + 1)
        ]
        final: list[tuple[int, Stream, int | None]] = (
            [(blocks.layers + 1, "final", blocks.final_entry)] if blocks.normed else []
        )
        return ((0, "embedding", blocks.embedding_entry), *residual, *final)


def chosen_device(device: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA where there is one. Raises BadInput."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise BadInput(f"unknown device {device!r}: give auto, cpu, cuda or cuda:1") from error
    if chosen.type not in {"cpu", "cuda"}:
        raise BadInput(f"device {device!r} cannot be worked with: give auto, cpu, cuda or cuda:1")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise BadInput(f"device {device!r} was asked for, and there is no CUDA device here: give cpu or auto")
    return chosen


def refuse_dtype(dtype: str) -> None:
    """Raise BadInput for a number format that is not known."""
    if dtype not in DTYPES:
        raise BadInput(f"unknown dtype {dtype!r}: give {', '.join(DTYPES)}")


def load_network(
    location: str,
    checkpoint: Checkpoint,
    *,
    revision: str | None,
    device: str,
    dtype: str,
    attention: str | None,
    trust_remote_code: bool,
    weights_digest: str | None,
) -> Network:
    """Load, check and describe a network. Raises NetworkMismatch, BadInput (device, dtype)."""
    solu.make_known()
    place = chosen_device(device)
    refuse_dtype(dtype)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    found = _found(location, revision, dtype, attention, trust_remote_code)
    _check_tokenizer(found.tokenizer, location)
    module, config = found.module.to(place).eval(), found.config
    module.config.use_cache = False  # one pass needs no memory of keys and values
    if getattr(config, "type_vocab_size", 0) < 2:  # a tokenizer may give what the network was not made for
        names = found.tokenizer.model_input_names
        found.tokenizer.model_input_names = [name for name in names if name != "token_type_ids"]
    text_config = config.get_text_config(decoder=True)
    blocks = find_blocks(module, text_config.num_hidden_layers, _probe(text_config, place))
    facts = NetworkFacts(
        family=config.model_type,
        kind=found.kind,
        layers=blocks.layers,
        width=text_config.hidden_size,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        dtype=str(next(module.parameters()).dtype).removeprefix("torch."),
        device=device_name(place),
        attention=str(getattr(module.config, "_attn_implementation", None) or "eager"),
        normed_entry=blocks.normed_entry,
        activation=_activation(text_config),
        weights_digest=weights_digest,
    )
    longest = longest_input(text_config, module)
    return Network(checkpoint, module, found.tokenizer, facts, blocks, found.predicts, longest)


@dataclass(frozen=True, eq=False)
class _Found:
    """What lies at a location, not yet on its device."""

    config: Any
    kind: str
    module: Any
    tokenizer: Any
    predicts: bool


def _found(location: str, revision: str | None, dtype: str, attention: str | None, trust_remote_code: bool) -> _Found:
    folder = lens_folder(location, revision)
    common: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    with naming_unloadable(location):
        if folder:
            return _of_lens_format(folder, dtype, attention)
        return _of_transformers(location, dtype, attention, common)


def _of_lens_format(folder: Path, dtype: str, attention: str | None) -> _Found:
    wanted = DTYPES[dtype]
    module = lens_module(folder, wanted if isinstance(wanted, torch.dtype) else None, attention)
    return _Found(module.config, "decoder", module, lens_tokenizer(folder), predicts=True)


def _of_transformers(location: str, dtype: str, attention: str | None, common: dict[str, Any]) -> _Found:
    config = AutoConfig.from_pretrained(location, **common)
    kind, auto = _kind(config, location)
    tokenizer = AutoTokenizer.from_pretrained(location, **common)
    module, info = auto.from_pretrained(
        location,
        config=config,
        use_safetensors=True,
        dtype=DTYPES[dtype],
        attn_implementation=attention,
        output_loading_info=True,
        **common,
    )
    return _Found(config, kind, module, tokenizer, head_is_loaded(module, info, location))


@contextmanager
def naming_unloadable(location: str) -> Iterator[None]:
    """Within the block, what a network's libraries raise where they cannot load it is a NetworkMismatch of one line."""
    try:
        yield
    except UNLOADABLE as error:
        raise _unloadable(location, error) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise _unloadable(location, error) from error


def _unloadable(location: str, error: Exception) -> NetworkMismatch:
    if "trust_remote_code" in str(error):
        return NetworkMismatch(
            f"{location} brings its own code, which is not run unless asked for: --trust-remote-code"
        )
    return NetworkMismatch(f"{location} could not be loaded: {' '.join(str(error).split())[:300]}")


def _kind(config: Any, location: str) -> tuple[str, Any]:
    """Decoder or encoder, by what its weights were saved as, else by what its architecture is made for."""
    if getattr(config, "is_encoder_decoder", False):
        raise NetworkMismatch(
            f"{location} is an encoder-decoder ({config.model_type}): decoders and encoders can be measured"
        )
    saved = (config.architectures or [""])[0]
    masked = config.model_type in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    causal = config.model_type in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if saved.endswith(("ForCausalLM", "LMHeadModel")) or (causal and not masked):
        return "decoder", AutoModelForCausalLM
    return "encoder", AutoModelForMaskedLM if masked else AutoModel


def head_is_loaded(module: nn.Module, info: Any, location: str) -> bool:
    """Whether every weight of the head was there. Raises NetworkMismatch where the network's own weights were not."""
    missing = list(info["missing_keys"]) + [found[0] for found in info["mismatched_keys"]]
    prefix = f"{module.base_model_prefix}."
    own = [key for key in missing if module.base_model is module or key.startswith(prefix)]
    if own:
        raise NetworkMismatch(f"{location} lacks {len(own)} of its network's weights, the first is {own[0]}")
    return not missing and module.base_model is not module


def _check_tokenizer(tokenizer: Any, location: str) -> None:
    """Raises NetworkMismatch for a slow one, and for the empty one that transformers makes where there is none."""
    if not getattr(tokenizer, "is_fast", False):
        raise NetworkMismatch(
            f"{location} has no fast tokenizer, which is needed to know where each token ends in the text"
        )
    if set(tokenizer("The words of a text", add_special_tokens=False)["input_ids"]) <= set(tokenizer.all_special_ids):
        raise NetworkMismatch(
            f"{location} has no tokenizer: it needs the files that the tokenizer's save_pretrained writes"
        )


def _probe(config: Any, device: torch.device) -> Tensor:
    """Five token ids to find the layers with."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(config.vocab_size, (1, 5), generator=generator).to(device)


def _activation(config: Any) -> str | None:
    """The activation function between the two linear layers of a block, as the configuration names it."""
    names = (getattr(config, field, None) for field in ("hidden_act", "hidden_activation", "activation_function"))
    return next((name for name in names if isinstance(name, str)), None)


def device_name(device: torch.device) -> str:
    """What people call a device: ``cpu``, or the accelerator's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def longest_input(config: Any, module: nn.Module) -> int | None:
    """The longest input in tokens, None where there is no limit.

    A table of positions with a padding index (RoBERTa's) starts counting after it.
    """
    limit = getattr(config, "max_position_embeddings", None)
    for name, table in module.named_modules():
        if name.endswith("position_embeddings") and getattr(table, "padding_idx", None) is not None:
            return int(table.num_embeddings) - int(table.padding_idx) - 1
    return int(limit) if limit and limit > 0 else None
