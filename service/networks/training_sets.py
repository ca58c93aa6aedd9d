"""What a network was trained on, noted beside its weights, so that nobody attributes it to other images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from service.errors import BadInput, NetworkMismatch
from service.networks.training import Recipe
from service.subjects import content_id

TRAINING_SET = "training_set.json"


@dataclass(frozen=True)
class ImageRecipe:
    """How an image classifier is trained: AdamW, linear warm-up, a cosine down to `final_share` of the rate, gradients clipped.
    `seed` is that of the order of the images, `threads` are the CPU's (another number gives weights that differ in the last
    digits), `save_steps` without any is the last alone."""

    steps: int = 400
    batch: int = 64
    learning_rate: float = 3e-3
    warmup: int = 40
    seed: int = 0
    threads: int = 1
    save_steps: tuple[int, ...] = ()
    final_share: float = 0.0
    weight_decay: float = 0.1
    clip: float = 1.0

    @property
    def saved(self) -> tuple[int, ...]:
        """The steps that are saved. Raises BadInput for one that is not made."""
        steps = tuple(sorted({*self.save_steps})) or (self.steps,)
        if steps[0] < 0 or steps[-1] > self.steps:
            raise BadInput(f"step {steps[-1] if steps[0] >= 0 else steps[0]} is asked for, and {self.steps} are made")
        return steps


@dataclass(frozen=True)
class TrainingSet:
    """What a checkpoint was trained on: the dataset's key and digest, the digest of the ordered items and their labels, how
    many they are, and the recipe."""

    dataset: str
    dataset_digest: str
    items_digest: str
    count: int
    recipe: ImageRecipe | Recipe


def training_set(
    items: Any, labels: Mapping[int, int] | None, item_ids: Sequence[int], recipe: ImageRecipe | Recipe
) -> TrainingSet:
    """What a training on these items, in this order, is noted as; of texts without labels. Raises BadInput for an item
    without a label, or no item."""
    if not item_ids:
        raise BadInput("training needs one item or more; got none")
    unlabelled = next((item_id for item_id in item_ids if labels is not None and item_id not in labels), None)
    if unlabelled is not None:
        raise BadInput(f"item {unlabelled} has no label")
    told = [[int(item_id), None if labels is None else int(labels[item_id])] for item_id in item_ids]
    digest = content_id("training items", told)
    return TrainingSet(items.dataset.name, items.dataset.digest, digest, len(item_ids), recipe)


def training_set_of(folder: Path) -> TrainingSet | None:
    """What the checkpoint in a folder was trained on; None where it does not say.

    Raises NetworkMismatch where the note is damaged.
    """
    try:
        said = json.loads((folder / TRAINING_SET).read_text())
        given = said.pop("recipe")
        of_texts = "objective" in given
        recipe = (Recipe if of_texts else ImageRecipe)(**given | {"save_steps": tuple(given["save_steps"])})
        return TrainingSet(**said, recipe=recipe)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NetworkMismatch(f"{folder / TRAINING_SET} does not say what was trained on: delete it") from error


def noted(note: TrainingSet) -> dict[str, str]:
    """The file that says it, by name."""
    return {TRAINING_SET: json.dumps(asdict(note), indent=1)}


def check_same(place: Path, note: TrainingSet) -> None:
    """Raise NetworkMismatch where the checkpoint in a folder was trained on something else, or otherwise."""
    found = training_set_of(place)
    if found is None or replace(found, recipe=_bare(found.recipe)) != replace(note, recipe=_bare(note.recipe)):
        raise NetworkMismatch(
            f"{place} was trained on other items, labels or order, or by another recipe: give another folder"
        )


def _bare(recipe: ImageRecipe | Recipe) -> ImageRecipe | Recipe:
    """What of a recipe decides the weights."""
    return replace(recipe, save_steps=(), threads=1)
