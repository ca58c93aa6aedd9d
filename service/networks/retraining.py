"""A network trained anew, as it was trained before but without some items, or with other labels: the counterfactual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import transformers
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoTokenizer,
)

from service.errors import BadInput
from service.networks import solu
from service.networks.class_labels import class_numbers
from service.networks.datasets import RandomTokens, TextWindows, open_dataset
from service.networks.image_datasets import ImageItems
from service.networks.image_training import train_images
from service.networks.loading import chosen_device, naming_unloadable
from service.networks.processors import HubProcessor
from service.networks.text_training import in_order, train_windows
from service.networks.training import Recipe, save_checkpoint, seeded
from service.networks.training_sets import ImageRecipe, TrainingSet, lasting_name, told_training_set, training_set
from service.networks.vision import channels_of

UNTRAINED = "step0"


@dataclass(frozen=True)
class Retraining:
    """One training: the checkpoint folder whose architecture and recipe it has, the dataset's name, the items that are left
    out, the seed of first weights and order, items with another class than their own, and the device that it is made on."""

    base: Path
    dataset: str
    seed: int
    removed: frozenset[int] = frozenset()
    relabelled: Mapping[int, int] = field(default_factory=dict)
    threads: int = 1
    device: str = "cpu"


def trained_on(base: Path, dataset: str) -> tuple[ImageItems | TextWindows, TrainingSet]:
    """The items that a checkpoint was trained on, and how. Raises BadInput where the dataset is not the one that the checkpoint
    says, by content, labels or order, or where it says nothing; NetworkMismatch."""
    said = told_training_set(base)
    items = open_dataset(dataset)
    again = f"give --dataset {said.opened}" if said.opened else "give the dataset"
    again += ", as it was then" if said.opened == lasting_name(dataset) else " that it was trained on"
    if isinstance(items, RandomTokens) or isinstance(items, ImageItems) != isinstance(said.recipe, ImageRecipe):
        raise BadInput(
            f"{base} was trained on {said.dataset}, and {dataset} is of another kind: give --dataset {said.openable}"
        )
    if items.dataset.digest != said.dataset_digest:
        raise BadInput(
            f"{base} was trained on {said.dataset} with digest {said.dataset_digest}, and {items.dataset.name} has digest "
            f"{items.dataset.digest}: {again}"
        )
    labels = class_numbers(items) if isinstance(items, ImageItems) else None
    now = training_set(items, labels, ordered(items), said.recipe)
    if now.items_digest != said.items_digest:
        raise BadInput(
            f"{base} was trained on {said.count} items of {said.dataset} in an order or with labels that are not those of "
            f"{items.dataset.name} ({now.count} items): {again}"
        )
    return items, said


def ordered(items: ImageItems | TextWindows) -> list[int]:
    """The items of a dataset in the order that trainings take them in."""
    return list(items.item_ids) if isinstance(items, ImageItems) else in_order(items)


def retrain(job: Retraining, folder: Path) -> Path:
    """Train from new weights into `folder`; its last checkpoint, ``step<N>``, which is there whole or not at all.

    Does nothing where it is there. Raises BadInput, NetworkMismatch.
    """
    items, said = trained_on(job.base, job.dataset)
    kept = [item for item in ordered(items) if item not in job.removed]
    place = folder / f"step{said.recipe.steps}"
    if isinstance(items, ImageItems) and isinstance(said.recipe, ImageRecipe):
        labels = class_numbers(items) | dict(job.relabelled)
        of_images = replace(said.recipe, seed=job.seed, threads=job.threads, save_steps=())
        classifier, processor = fresh(job.base, job.seed)
        readable = HubProcessor(processor, channels_of(classifier.config))
        classifier.to(chosen_device(job.device))
        train_images(classifier, readable, items, labels, kept, folder, of_images, opened=job.dataset)
    elif isinstance(items, TextWindows) and isinstance(said.recipe, Recipe):
        steps = (said.recipe.steps,)
        of_texts = replace(said.recipe, seed=job.seed, threads=job.threads, save_steps=steps)
        decoder, tokenizer = fresh(job.base, job.seed, of_texts=True)
        decoder.to(chosen_device(job.device))
        train_windows(decoder, tokenizer, items, kept, folder, of_texts, opened=job.dataset)
    return place


def untrained(base: Path, seed: int, folder: Path) -> Path:
    """The weights that a retraining of that seed starts from, in `folder` as ``step0``, whole or not at all; they say nothing
    of a training, for there was none.

    Does nothing where it is there. Raises BadInput, NetworkMismatch.
    """
    place = folder / UNTRAINED
    if not place.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(*fresh(base, seed, isinstance(told_training_set(base).recipe, Recipe)), place)
    return place


def fresh(base: Path, seed: int, of_texts: bool = False) -> tuple[Any, Any]:
    """A network of the same architecture with new weights, the seed's, and its image processor or tokenizer. Raises
    NetworkMismatch."""
    transformers.utils.logging.set_verbosity_error()
    solu.make_known()
    with naming_unloadable(str(base)):
        config = AutoConfig.from_pretrained(base)
        if of_texts:
            return seeded(AutoModelForCausalLM.from_config, config, seed), AutoTokenizer.from_pretrained(base)
        processor = AutoImageProcessor.from_pretrained(base, backend="pil")
        return seeded(AutoModelForImageClassification.from_config, config, seed), processor
