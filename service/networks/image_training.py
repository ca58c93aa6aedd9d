"""Small image classifiers, trained on the spot: ordinary Hugging Face folders come out, which say what they were trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

from service.errors import BadInput
from service.networks.image_datasets import ImageItems
from service.networks.output_functions import logits_of
from service.networks.processors import HubProcessor, Processor
from service.networks.threads import working_threads
from service.networks.training import save_checkpoint, scheduled_rate, seeded
from service.networks.training_sets import ImageRecipe, architecture_of, check_same, noted, training_set
from service.networks.vision import VisionNetwork
from service.results import TrainingStep

BATCH = 256  # images that are judged at a time


def small_vision_network(
    width: int,
    layers: int,
    classes: int,
    channels: int = 1,
    image_size: int = 8,
    patch: int = 2,
    seed: int = 0,
    heads: int = 4,
) -> tuple[ViTForImageClassification, HubProcessor]:
    """A vision transformer with random weights, and the processor that is saved beside it: images of `image_size` pixels a side
    in square patches of `patch`, in [-1, 1].

    Weights are drawn wider than ViT's usual 0.02: with those one of width 32 had learned less of the digits after 400 steps
    (89 and 95 % of two seeds, against 96 and 97 %).
    """
    shape: dict[str, Any] = {"num_labels": classes}  # which its own declaration leaves out
    config = ViTConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        image_size=image_size,
        patch_size=patch,
        num_channels=channels,
        initializer_range=0.1,
        **shape,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    size = {"height": image_size, "width": image_size}
    processor = ViTImageProcessorPil(size=size, image_mean=channels * [0.5], image_std=channels * [0.5])
    return seeded(ViTForImageClassification, config, seed), HubProcessor(processor, channels)


def train_images(
    module: Any,
    processor: HubProcessor,
    items: ImageItems,
    labels: Mapping[int, int],
    item_ids: Sequence[int],
    folder: Path,
    recipe: ImageRecipe,
    on_step: Callable[[TrainingStep], None] | None = None,
    opened: str | None = None,
) -> Path:
    """Train `module` on the items in their order, and save each of the recipe's steps as ``folder/step<N>``, whole or not at
    all.

    Does nothing where every step is there and says that it was trained on the same; an interrupted training starts again and
    ends in the same weights. `opened`, the name that the dataset was opened by, is noted. Raises BadInput, NetworkMismatch (the
    folder holds another training).
    """
    note, there = training_set(items, labels, item_ids, recipe, opened, architecture_of(module)), []
    for step in recipe.saved:
        place = folder / f"step{step}"
        if place.is_dir():
            check_same(place, note)
            there.append(step)
    if there == list(recipe.saved):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    notes = noted(note)
    if 0 in recipe.saved:
        save_checkpoint(module, processor, folder / "step0", notes)
    for made in image_steps(module, processor, items, labels, item_ids, recipe):
        if made.step in recipe.saved:
            save_checkpoint(module, processor, folder / f"step{made.step}", notes)
        if on_step:
            on_step(made)
    return folder


def image_steps(
    module: Any,
    processor: Processor,
    items: ImageItems,
    labels: Mapping[int, int],
    item_ids: Sequence[int],
    recipe: ImageRecipe,
) -> Iterator[TrainingStep]:
    """Train `module` where it lies, giving each step when it is made; each pass over the items is in an order of its own.

    Raises BadInput.
    """
    training_set(items, labels, item_ids, recipe)
    place = next(module.parameters()).device
    inputs = items.inputs(processor, item_ids).to(place)
    targets = torch.tensor([labels[item_id] for item_id in item_ids], device=place)
    optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    module.train()
    with working_threads(recipe.threads):
        for step, rows in zip(range(recipe.steps), _orders(len(item_ids), recipe), strict=False):
            rate = scheduled_rate(step, recipe.steps, recipe.warmup, recipe.learning_rate, recipe.final_share)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = cross_entropy(logits_of(module(inputs[rows])), targets[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
            optimizer.step()
            yield TrainingStep(step + 1, loss.item(), norm.item(), None, rate)
    module.eval()


def _orders(count: int, recipe: ImageRecipe) -> Iterator[Tensor]:
    """The rows of each batch, without end: every row once before any again; a rest smaller than a batch is left out."""
    generator = torch.Generator().manual_seed(recipe.seed)
    size = min(recipe.batch, count)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))


@torch.no_grad()
def predictions(network: VisionNetwork, items: ImageItems, item_ids: Sequence[int]) -> dict[int, int]:
    """The class that a network tells of each item."""
    told: dict[int, int] = {}
    weight = next(network.module.parameters())
    for group, pixels in items.batches(network, BATCH, item_ids):
        found = logits_of(network.module(pixels.to(weight))).argmax(1)
        told |= dict(zip(group, found.tolist(), strict=True))
    return told


def accuracy(network: VisionNetwork, items: ImageItems, labels: Mapping[int, int]) -> float:
    """The share of the labelled items that a network tells the class of: 1 is all of them. Raises BadInput without any."""
    if not labels:
        raise BadInput("accuracy needs one label or more; got none")
    told = predictions(network, items, tuple(labels))
    return sum(told[item_id] == label for item_id, label in labels.items()) / len(labels)
