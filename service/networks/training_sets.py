"""What a network was trained on, noted beside its weights, so that nobody attributes it to other images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from service.errors import BadInput, NetworkMismatch
from service.networks.image_sources import DIGITS
from service.networks.text_sources import BUILT_IN, RANDOM
from service.networks.training import Recipe
from service.subjects import content_id

TRAINING_SET = "training_set.json"
# what a configuration says of who wrote it, of how the network is run, and of what its classes are called
VOLATILE = {
    "transformers_version",
    "dtype",
    "torch_dtype",
    "_name_or_path",
    "architectures",
    "use_cache",
    "problem_type",
    "id2label",
    "label2id",
}


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
    many they are, and the recipe; the name that the dataset was `opened` by, and the digest of the network's `architecture`,
    None where nobody said."""

    dataset: str
    dataset_digest: str
    items_digest: str
    count: int
    recipe: ImageRecipe | Recipe
    opened: str | None = None
    architecture: str | None = None

    @property
    def openable(self) -> str:
        """What to open the dataset by: the dataset's key where nobody said."""
        return self.opened or self.dataset


def training_set(
    items: Any,
    labels: Mapping[int, int] | None,
    item_ids: Sequence[int],
    recipe: ImageRecipe | Recipe,
    opened: str | None = None,
    architecture: str | None = None,
) -> TrainingSet:
    """What a training on these items, in this order, is noted as; of texts without labels. `opened` is the name that the
    dataset was opened by. Raises BadInput for an item without a label, or no item."""
    if not item_ids:
        raise BadInput("training needs one item or more; got none")
    unlabelled = next((item_id for item_id in item_ids if labels is not None and item_id not in labels), None)
    if unlabelled is not None:
        raise BadInput(f"item {unlabelled} has no label")
    told = [[int(item_id), None if labels is None else int(labels[item_id])] for item_id in item_ids]
    digest = content_id("training items", told)
    name = None if opened is None else lasting_name(opened)
    return TrainingSet(items.dataset.name, items.dataset.digest, digest, len(item_ids), recipe, name, architecture)


def lasting_name(name: str) -> str:
    """The name of a dataset as it can be opened from any folder: paths are absolute, whatever ``:column`` follows."""
    if name in {*BUILT_IN, RANDOM} or name.partition(":")[0] in {DIGITS, "hf"}:
        return name
    path, (head, colon, rest) = Path(name).expanduser(), name.rpartition(":")
    if path.exists():
        return str(path.resolve())
    return f"{lasting_name(head)}:{rest}" if colon else name


def architecture_of(module: Any) -> str | None:
    """16 hex digits of a network's configuration, without what differs between two copies of it; None without one."""
    config = getattr(module, "config", None)
    if config is None:
        return None
    said = _lasting(json.loads(config.to_json_string()))
    return content_id("architecture", said, getattr(config, "num_labels", None))


def _lasting(said: Any) -> Any:
    if not isinstance(said, dict):
        return said
    return {name: _lasting(value) for name, value in said.items() if name not in VOLATILE}


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


def told_training_set(folder: Path) -> TrainingSet:
    """The same. Raises BadInput where it does not say."""
    said = training_set_of(folder)
    if said is None:
        raise BadInput(
            f"{folder} does not say what it was trained on: it needs the {TRAINING_SET} that Isoscope's trainings leave there"
        )
    return said


def noted(note: TrainingSet) -> dict[str, str]:
    """The file that says it, by name."""
    return {TRAINING_SET: json.dumps(asdict(note), indent=1)}


def check_same(place: Path, note: TrainingSet) -> None:
    """Raise NetworkMismatch where the checkpoint in a folder was trained on something else, or otherwise."""
    found = training_set_of(place)
    if found is None or _bare(found) != _bare(note):
        raise NetworkMismatch(
            f"{place} was trained on other items, labels or order, or by another recipe: give another folder"
        )
    if found.architecture and note.architecture and found.architecture != note.architecture:
        raise NetworkMismatch(f"{place} holds a network of another architecture: give another folder")


def _bare(note: TrainingSet) -> TrainingSet:
    """What decides the weights, but for the architecture, which older notes do not say."""
    return replace(note, recipe=replace(note.recipe, save_steps=(), threads=1), opened=None, architecture=None)
