"""Classifiers made of an encoder: tuned on labelled texts, and judged on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from service.errors import NetworkMismatch
from service.networks.labelled_texts import LabelledTexts
from service.networks.loading import UNLOADABLE, chosen_device, device_name
from service.networks.training import save_checkpoint

BATCH = 64  # texts that are judged at a time


@dataclass(frozen=True)
class Tuning:
    """How a classifier is tuned: AdamW, a short linear warm-up, then a rate that falls to 0. `seed` is that of the new
    head's weights and of the order of the texts."""

    seed: int = 0
    steps: int = 80
    batch: int = 32
    learning_rate: float = 1e-3
    warmup: int = 20
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fine-tuned network. `classes` is the class of the texts that each of its own stands for."""

    module: Any
    tokenizer: Any
    classes: tuple[int, ...]

    def predictions(self, texts: LabelledTexts) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """For each text the class told, and the nats that its true class cost."""
        told: list[Tensor] = []
        nats: list[Tensor] = []
        of_own = torch.tensor(self.classes)
        for start in range(0, len(texts), BATCH):
            logits = self.logits(texts, range(start, min(start + BATCH, len(texts))))
            logs = torch.stack(
                [logits.log_softmax(-1)[:, of_own == one].logsumexp(-1) for one in range(max(self.classes) + 1)], dim=1
            )
            labels = torch.tensor(texts.labels[start : start + BATCH])
            told.append(logs.argmax(1))
            nats.append(-logs.gather(1, labels[:, None])[:, 0])
        return torch.cat(told).numpy(), torch.cat(nats).double().numpy()

    @property
    def device(self) -> str:
        """The name of the device that it runs on."""
        return device_name(next(self.module.parameters()).device)

    def inputs(self, texts: LabelledTexts, rows: Sequence[int]) -> dict[str, Tensor]:
        """The texts of those rows as the network reads them."""
        seconds = None if texts.seconds is None else [texts.seconds[row] for row in rows]
        found = self.tokenizer(
            [texts.texts[row] for row in rows], seconds, padding=True, truncation=True, return_tensors="pt"
        )
        return {name: value.to(next(self.module.parameters()).device) for name, value in found.items()}

    @torch.no_grad()
    def logits(self, texts: LabelledTexts, rows: Sequence[int]) -> Tensor:
        """The network's own scores of its classes (texts, classes), on the CPU."""
        return self.module(**self.inputs(texts, rows)).logits.float().cpu()


def load_classifier(
    location: str, labels: int, classes: Sequence[int] = (), revision: str | None = None, device: str = "auto"
) -> Classifier:
    """A fine-tuned network that tells `labels` classes of text apart; `classes` says which of them each of its own stands for
    where it has others.

    Raises NetworkMismatch, BadInput (device).
    """
    place = chosen_device(device)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(location, revision=revision)
        module, info = AutoModelForSequenceClassification.from_pretrained(
            location, revision=revision, use_safetensors=True, output_loading_info=True
        )
    except UNLOADABLE as error:
        reason = " ".join(str(error).split())[:300]
        raise NetworkMismatch(f"{location} could not be loaded as a classifier: {reason}") from error
    if info["missing_keys"]:
        raise NetworkMismatch(f"{location} was not fine-tuned: it lacks {sorted(info['missing_keys'])[0]}")
    own = module.config.num_labels
    told = tuple(classes) or tuple(range(own))
    if len(told) != own or max(told) + 1 != labels:
        raise NetworkMismatch(
            f"{location} tells {own} classes apart and the texts have {labels}: give --stands-for with {own} numbers, the "
            "class of the texts that each of its own is"
        )
    return Classifier(module.to(place).eval(), tokenizer, told)


def fine_tune(base: Path, texts: LabelledTexts, folder: Path, tuning: Tuning) -> Path:
    """Tune the encoder of the folder `base` on labelled texts; `folder`/step<N>, which is there whole or not at all.

    Raises NetworkMismatch.
    """
    place = folder / f"step{tuning.steps}"
    if place.is_dir():
        return place
    if tuning.threads:
        torch.set_num_threads(tuning.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(tuning.seed)
        module = AutoModelForSequenceClassification.from_pretrained(base, num_labels=max(texts.labels) + 1)
        _tune(module, tokenizer, texts, tuning)
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(module, tokenizer, place)
    return place


def _tune(module: Any, tokenizer: Any, texts: LabelledTexts, tuning: Tuning) -> None:
    generator = torch.Generator().manual_seed(tuning.seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=tuning.learning_rate, weight_decay=0.01)
    classifier = Classifier(module, tokenizer, tuple(range(module.config.num_labels)))
    module.train()
    for step in range(tuning.steps):
        share = min(1.0, (step + 1) / tuning.warmup) * (1 - step / tuning.steps)
        for group in optimizer.param_groups:
            group["lr"] = tuning.learning_rate * share
        rows = torch.randint(len(texts), (tuning.batch,), generator=generator).tolist()
        logits = module(**classifier.inputs(texts, rows)).logits
        loss = cross_entropy(logits, torch.tensor([texts.labels[row] for row in rows]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
    module.eval()
