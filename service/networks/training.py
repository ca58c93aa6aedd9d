"""The small training loop behind the demonstration and the retraining experiments: ordinary Hugging Face folders come out."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
)

from service.errors import BadInput
from service.networks import solu
from service.results import TrainingStep

Objective = Literal["causal", "masked"]
MASKED_SHARE = 0.3  # as ModernBERT was trained; https://arxiv.org/abs/2412.13663
DRAFT = ".draft"
LONGEST = 128  # tokens that a small network reads at a time


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: AdamW, linear warm-up, a cosine down to `final_share` of the rate, gradients clipped.

    The last four can spoil it on purpose: `clip` None leaves gradients as they are, the rate is multiplied by
    `rate_growth` at each step, a share `bad_batches` of the steps sees random tokens instead of text, and weights are
    rounded to `mantissa_bits` after each step.
    """

    steps: int
    save_steps: tuple[int, ...]
    objective: Objective = "causal"
    batch: int = 16
    length: int = LONGEST
    learning_rate: float = 1e-3
    warmup: int = 20
    final_share: float = 0.1
    seed: int = 0
    threads: int | None = None
    clip: float | None = 1.0
    rate_growth: float = 1.0
    bad_batches: float = 0.0
    mantissa_bits: int | None = None


def log_spaced_steps(last: int) -> tuple[int, ...]:
    """0, 1, 2, 4, ... up to `last`, as Pythia publishes its early steps."""
    powers = [2**power for power in range(last.bit_length()) if 2**power < last]
    return (0, *powers, last)


def train_tokenizer(texts: Sequence[str], vocabulary: int, objective: Objective) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of `vocabulary` tokens. An encoder's puts [CLS] and [SEP] around each text; a decoder's
    has one special token, which it adds to nothing."""
    special = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"] if objective == "masked" else ["<|endoftext|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    if objective == "masked":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]"
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def small_decoder(
    width: int, layers: int, vocabulary: int, seed: int = 0, heads: int = 4, activation: str = "gelu"
) -> GPTNeoXForCausalLM:
    """A GPT-NeoX with random weights, the architecture of Pythia; `activation` is its configuration's, or ``solu``."""
    solu.make_known()
    config = GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        hidden_act=activation,
        max_position_embeddings=LONGEST,
        bos_token_id=0,
        eos_token_id=0,
    )
    return seeded(GPTNeoXForCausalLM, config, seed)


def small_encoder(width: int, layers: int, vocabulary: int, seed: int = 0, heads: int = 4) -> ModernBertForMaskedLM:
    """A ModernBERT with random weights and a masked-language head.

    Not a BERT: in 512 steps of 2,048 tokens one of this size learned no more than the frequencies of tokens.
    """
    config = ModernBertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=2 * width,  # gated: two of these go in
        max_position_embeddings=LONGEST,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    )
    return seeded(ModernBertForMaskedLM, config, seed)


def seeded(build: Callable[[Any], Any], config: Any, seed: int) -> Any:
    """A network whose random weights are the seed's, with the process's own generator left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(config)


def train(
    module: Any,
    tokenizer: PreTrainedTokenizerFast,
    texts: Sequence[str],
    folder: Path,
    recipe: Recipe,
    on_step: Callable[[TrainingStep], None] | None = None,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Train `module` and save each of the recipe's steps as ``folder/step<N>``, whole or not at all.

    Does nothing where every step is there already; an interrupted training starts again and ends in the same weights.
    ``training_log.jsonl`` holds step, loss (nats a token), gradient norm and learning rate; `on_step` is told the same;
    `notes` are text files that lie beside the weights. Raises BadInput for too little text.
    """
    if all((folder / f"step{step}").is_dir() for step in recipe.save_steps):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "training_log.jsonl", "w") as log:
        if 0 in recipe.save_steps:
            save_checkpoint(module, tokenizer, folder / "step0", notes)
        for made in steps(module, tokenizer, texts, recipe):
            entry = {name: value for name, value in vars(made).items() if value is not None}
            log.write(json.dumps(entry) + "\n")
            if made.step in recipe.save_steps:
                log.flush()
                save_checkpoint(module, tokenizer, folder / f"step{made.step}", notes)
            if on_step:
                on_step(made)
    return folder


def steps(
    module: Any, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], recipe: Recipe, update_norms: bool = False
) -> Iterator[TrainingStep]:
    """Train `module`, giving each step when it is made. Raises BadInput for too little text."""
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    tokens = _stream(tokenizer, texts, recipe)
    generator = torch.Generator().manual_seed(recipe.seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    for step in range(recipe.steps):
        rate = _rate(step, recipe)
        for group in optimizer.param_groups:
            group["lr"] = rate
        before = [weight.detach().clone() for weight in module.parameters()] if update_norms else []
        loss, norm = _update(module, optimizer, _batch(tokens, tokenizer, recipe, generator), recipe)
        update = _distance(before, module.parameters()) if update_norms else None
        yield TrainingStep(step + 1, loss, norm, update, rate)


def _distance(before: Sequence[Tensor], after: Iterable[Tensor]) -> float:
    squares = [(new.detach() - old).square().sum() for old, new in zip(before, after, strict=True)]
    return torch.stack(squares).sum().sqrt().item()


def _rate(step: int, recipe: Recipe) -> float:
    peak = recipe.learning_rate * recipe.rate_growth**step
    return scheduled_rate(step, recipe.steps, recipe.warmup, peak, recipe.final_share)


def scheduled_rate(step: int, steps: int, warmup: int, peak: float, final_share: float) -> float:
    """The learning rate of a step: a linear warm-up to `peak`, then a cosine down to `final_share` of it."""
    if step < warmup:
        return peak * (step + 1) / warmup
    way = (step - warmup) / max(1, steps - warmup)
    cosine = (1 + math.cos(math.pi * way)) / 2
    return peak * (final_share + (1 - final_share) * cosine)


def _update(
    module: Any, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor], recipe: Recipe
) -> tuple[float, float]:
    inputs, targets = (one.to(next(module.parameters()).device) for one in batch)
    module.train()
    logits = module(input_ids=inputs).logits
    loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(module.parameters(), recipe.clip if recipe.clip is not None else math.inf)
    optimizer.step()
    if recipe.mantissa_bits is not None:
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(rounded(weight, recipe.mantissa_bits))
    return loss.item(), norm.item()


def rounded(weight: Tensor, mantissa_bits: int) -> Tensor:
    """The nearest numbers that have so many bits after the leading one: 7 is bfloat16."""
    mantissa, exponent = torch.frexp(weight)
    scale = 2.0 ** (mantissa_bits + 1)
    return torch.ldexp((mantissa * scale).round() / scale, exponent)


def _stream(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], recipe: Recipe) -> Tensor:
    """All texts' tokens in one row, an end token (or [SEP]) after each."""
    end = tokenizer.eos_token_id if recipe.objective == "causal" else tokenizer.sep_token_id
    encoded: Iterator[list[int]] = (
        ids for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    )
    tokens = torch.tensor([token for ids in encoded for token in (*ids, end)])
    if len(tokens) < 2 * recipe.length:
        raise BadInput(f"training needs {2 * recipe.length} tokens of text or more; got {len(tokens)}")
    return tokens


def _batch(
    tokens: Tensor, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(inputs, targets), both (batch, length); targets that are not predicted are -100."""
    starts = torch.randint(len(tokens) - recipe.length - 1, (recipe.batch, 1), generator=generator)
    if recipe.bad_batches and torch.rand((), generator=generator) < recipe.bad_batches:
        rows = torch.randint(len(tokenizer), (recipe.batch, recipe.length + 1), generator=generator)
        return rows[:, :-1], rows[:, 1:]
    if recipe.objective == "causal":
        rows = tokens[starts + torch.arange(recipe.length + 1)]
        return rows[:, :-1], rows[:, 1:]
    inner = tokens[starts + torch.arange(recipe.length - 2)]
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    rows = torch.cat([torch.full((recipe.batch, 1), cls), inner, torch.full((recipe.batch, 1), sep)], dim=1)
    hidden = torch.rand(rows.shape, generator=generator) < MASKED_SHARE
    hidden &= (rows != cls) & (rows != sep)
    return rows.masked_fill(hidden, tokenizer.mask_token_id), rows.masked_fill(~hidden, -100)


def save_checkpoint(module: Any, tokenizer: Any, folder: Path, notes: Mapping[str, str] | None = None) -> None:
    """A checkpoint folder, complete before it has its name; `tokenizer` may be an image processor, `notes` are text files that
    lie beside the weights."""
    if folder.is_dir():
        return
    draft = folder.with_name(f".{folder.name}{DRAFT}")
    shutil.rmtree(draft, ignore_errors=True)
    transformers.utils.logging.disable_progress_bar()
    module.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    for name, note in (notes or {}).items():
        (draft / name).write_text(note)
    os.replace(draft, folder)
