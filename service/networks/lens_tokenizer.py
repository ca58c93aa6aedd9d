"""The tokenizer of a network in TransformerLens's format: its folder's own, or the one that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import processors
from transformers import AutoTokenizer

from service.errors import NetworkMismatch
from service.networks.lens_folders import lens_config


def lens_tokenizer(folder: Path) -> Any:
    """The tokenizer in `folder`, else the one that the configuration's ``tokenizer_name`` is on the hub; it puts the token that
    begins a text before each, as in the windows that such networks were trained on.

    Raises NetworkMismatch where there is none. Source: TransformerLens, `utils.tokenize_and_concatenate`.
    """
    own = (folder / "tokenizer.json").is_file()
    name = str(folder) if own else (lens_config(folder) or {}).get("tokenizer_name")
    if not isinstance(name, str):
        raise NetworkMismatch(
            f"{folder} has no tokenizer: it needs a tokenizer.json, or a tokenizer_name in config.json"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # a damaged file's errors are the tokenizers library's own
        why = "it is damaged" if own else f"put its tokenizer.json into {folder}, or let the hub be reached"
        raise NetworkMismatch(f"the tokenizer {name} could not be loaded: {why}") from error
    return _beginning_texts(tokenizer)


def _beginning_texts(tokenizer: Any) -> Any:
    begin = tokenizer.bos_token or tokenizer.eos_token
    number = tokenizer.convert_tokens_to_ids(begin) if begin else None
    if number is None or not tokenizer.is_fast or tokenizer("a")["input_ids"][:1] == [number]:
        return tokenizer
    template = processors.TemplateProcessing(single=[begin, "$A"], special_tokens=[(begin, number)])
    own = tokenizer.backend_tokenizer.post_processor
    tokenizer.backend_tokenizer.post_processor = processors.Sequence([own, template]) if own else template
    return tokenizer
