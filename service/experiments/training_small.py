"""A small network for whoever has none: trained on a dataset, with a note of what and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import BadInput
from service.experiments.progress import Progress, tell
from service.experiments.small_networks import TOKENIZER_TEXT, training_in
from service.networks.class_labels import class_numbers
from service.networks.datasets import TextWindows, open_dataset
from service.networks.image_datasets import ImageItems
from service.networks.image_training import small_vision_network, train_images
from service.networks.retraining import ordered
from service.networks.text_training import train_windows
from service.networks.training import Recipe, small_decoder, train_tokenizer
from service.networks.training_sets import ImageRecipe
from service.results import TrainingStep

VOCABULARY = 512
THREADS = 2
PATCHES = 4  # along a side of an image


@dataclass(frozen=True)
class SmallTraining:
    """The size of a network and how it is trained; `patch` None for a quarter of an image's side."""

    width: int
    layers: int
    steps: int
    batch: int
    learning_rate: float
    patch: int | None
    seed: int
    save: tuple[int, ...]


def train_small(dataset: str, out: Path, asked: SmallTraining) -> dict[str, Any]:
    """Train a network on a dataset into `out`; what was made, for people. Does nothing where it is there.

    Raises UnknownName, BadInput (no classes, images that are not square, too little text), NetworkMismatch.
    """
    items = open_dataset(dataset)
    with training_in(out.parent):
        if isinstance(items, ImageItems):
            module = _classifier(items, out, asked, dataset)
        elif isinstance(items, TextWindows):
            module = _decoder(items, out, asked, dataset)
        else:
            raise BadInput(f"{dataset} has nothing that could be learned: give texts or images")
    parameters = sum(weight.numel() for weight in module.parameters())
    return {"dataset": items.dataset.name, "items": len(items.item_ids), "parameters": parameters, "folder": str(out)}


def _classifier(items: ImageItems, out: Path, asked: SmallTraining, opened: str) -> Any:
    classes = class_numbers(items)
    height, width, channels = items.image(items.item_ids[0]).shape
    patch = asked.patch or max(1, height // PATCHES)
    if height != width or height % patch:
        raise BadInput(
            f"images of {height} x {width} pixels cannot be cut into patches of {patch}: give square images, and a --patch "
            "that divides their side"
        )
    size = asked.width, asked.layers, max(classes.values()) + 1
    module, processor = small_vision_network(*size, channels, height, patch, asked.seed)
    warmup = max(1, min(40, asked.steps // 10))
    recipe = ImageRecipe(asked.steps, asked.batch, asked.learning_rate, warmup, asked.seed, THREADS, asked.save)
    train_images(module, processor, items, classes, ordered(items), out, recipe, _telling(out, asked), opened)
    return module


def _decoder(items: TextWindows, out: Path, asked: SmallTraining, opened: str) -> Any:
    texts = [text[:TOKENIZER_TEXT] for _, text in items.texts[:400]]
    tokenizer = train_tokenizer(texts, VOCABULARY, "causal")
    module = small_decoder(asked.width, asked.layers, len(tokenizer), asked.seed)
    recipe = Recipe(
        asked.steps,
        asked.save,
        batch=asked.batch,
        learning_rate=asked.learning_rate,
        warmup=max(1, min(20, asked.steps // 10)),
        seed=asked.seed,
        threads=THREADS,
    )
    train_windows(module, tokenizer, items, ordered(items), out, recipe, _telling(out, asked), opened)
    return module


def _telling(out: Path, asked: SmallTraining) -> Any:
    def told(made: TrainingStep) -> None:
        tell(Progress("train", out.name, made.step, asked.steps, "steps"))

    return told
