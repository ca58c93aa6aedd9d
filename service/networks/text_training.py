"""Small decoders, trained on the windows of a dataset: ordinary Hugging Face folders come out, which say what they were
trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from service.networks.datasets import TextWindows
from service.networks.training import Recipe, train
from service.networks.training_sets import architecture_of, check_same, noted, training_set
from service.results import TrainingStep


def train_windows(
    module: Any,
    tokenizer: Any,
    items: TextWindows,
    item_ids: Sequence[int],
    folder: Path,
    recipe: Recipe,
    on_step: Callable[[TrainingStep], None] | None = None,
    opened: str | None = None,
) -> Path:
    """Train `module` on the texts of the items, one after another, and save each of the recipe's steps as ``folder/step<N>``.

    Does nothing where every step is there and says that it was trained on the same. `opened`, the name that the dataset was
    opened by, is noted. Raises BadInput for too little text, NetworkMismatch where the folder holds another training.
    """
    note = training_set(items, None, item_ids, recipe, opened, architecture_of(module))
    texts = dict(items.texts)
    for place in (folder / f"step{step}" for step in recipe.save_steps):
        if place.is_dir():
            check_same(place, note)
    return train(module, tokenizer, [texts[item] for item in item_ids], folder, recipe, on_step, noted(note))


def in_order(items: TextWindows) -> list[int]:
    """Every window of a dataset in its seeded order, whatever was chosen to be read."""
    return [item for item, _ in items.texts]
