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

from service.errors import BadInput, NetworkMismatch
from service.networks import solu
from service.networks.datasets import RandomTokens, TextWindows, open_dataset
from service.networks.image_datasets import ImageItems
from service.networks.image_training import train_images
from service.networks.loading import UNLOADABLE
from service.networks.processors import HubProcessor
from service.networks.text_training import in_order, train_windows
from service.networks.training import Recipe, seeded
from service.networks.training_sets import ImageRecipe, TrainingSet, training_set, training_set_of
from service.networks.vision import channels_of

LABEL = "label"  # the column that image classifiers are trained on


@dataclass(frozen=True)
class Retraining:
    """One training: the checkpoint folder whose architecture and recipe it has, the dataset's name, the items that are left
    out, the seed of first weights and order, and items with another class than their own."""

    base: Path
    dataset: str
    seed: int
    removed: frozenset[int] = frozenset()
    relabelled: Mapping[int, int] = field(default_factory=dict)
    threads: int = 1


def class_numbers(items: Any, column: str = LABEL) -> dict[int, int]:
    """The class of each item as a number: numbers as they are, names by their order. Raises UnknownName, BadInput."""
    found = {item: value for item, value in items.column(column).items() if value is not None}
    if all(isinstance(value, int) for value in found.values()):
        return {item: int(str(value)) for item, value in found.items()}
    order = {name: number for number, name in enumerate(sorted({str(value) for value in found.values()}))}
    return {item: order[str(value)] for item, value in found.items()}


def trained_on(base: Path, dataset: str) -> tuple[ImageItems | TextWindows, TrainingSet]:
    """The items that a checkpoint was trained on, and how. Raises BadInput where the dataset is not the one that the checkpoint
    says, by content, labels or order, or where it says nothing; NetworkMismatch."""
    said = training_set_of(base)
    if said is None:
        raise BadInput(
            f"{base} does not say what it was trained on: it needs the training_set.json that Isoscope's trainings leave there"
        )
    items = open_dataset(dataset)
    if isinstance(items, RandomTokens) or isinstance(items, ImageItems) != isinstance(said.recipe, ImageRecipe):
        raise BadInput(
            f"{base} was trained on {said.dataset}, and {dataset} is of another kind: give --dataset {said.dataset}"
        )
    if items.dataset.digest != said.dataset_digest:
        raise BadInput(
            f"{base} was trained on {said.dataset} with digest {said.dataset_digest}, and {items.dataset.name} has digest "
            f"{items.dataset.digest}: give the dataset that it was trained on"
        )
    labels = class_numbers(items) if isinstance(items, ImageItems) else None
    now = training_set(items, labels, ordered(items), said.recipe)
    if now.items_digest != said.items_digest:
        raise BadInput(
            f"{base} was trained on {said.count} items of {said.dataset} in an order or with labels that are not those of "
            f"{items.dataset.name} ({now.count} items): give the dataset that it was trained on"
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
        train_images(
            classifier, HubProcessor(processor, channels_of(classifier.config)), items, labels, kept, folder, of_images
        )
    elif isinstance(items, TextWindows) and isinstance(said.recipe, Recipe):
        steps = (said.recipe.steps,)
        of_texts = replace(said.recipe, seed=job.seed, threads=job.threads, save_steps=steps)
        decoder, tokenizer = fresh(job.base, job.seed, of_texts=True)
        train_windows(decoder, tokenizer, items, kept, folder, of_texts)
    return place


def fresh(base: Path, seed: int, of_texts: bool = False) -> tuple[Any, Any]:
    """A network of the same architecture with new weights, the seed's, and its image processor or tokenizer. Raises
    NetworkMismatch."""
    transformers.utils.logging.set_verbosity_error()
    solu.make_known()
    try:
        config = AutoConfig.from_pretrained(base)
        if of_texts:
            return seeded(AutoModelForCausalLM.from_config, config, seed), AutoTokenizer.from_pretrained(base)
        processor = AutoImageProcessor.from_pretrained(base, backend="pil")
        return seeded(AutoModelForImageClassification.from_config, config, seed), processor
    except UNLOADABLE as error:
        raise NetworkMismatch(f"{base} could not be trained anew: {' '.join(str(error).split())[:300]}") from error
