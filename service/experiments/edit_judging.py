"""What an edited network is judged on beside its task: items of a dataset, clean and under corruptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from service.edit_results import Predictions, Robustness
from service.errors import BadInput, UnknownName
from service.measures.prediction_quality import robustness
from service.networks import image_corruptions, text_corruptions
from service.networks.class_labels import class_numbers
from service.networks.datasets import TextWindows
from service.networks.edit_tasks import Task
from service.networks.image_datasets import ImageItems
from service.networks.image_edit_cases import class_number
from service.networks.loading import Network
from service.networks.pictures import Pixels
from service.networks.robustness import corrupted_images, pixel_predictions, text_predictions
from service.subjects import content_id

CLEAN = ("none", 0)
SEVERITIES = (1, 2, 3, 4, 5)
Corruption = tuple[str, int]


@dataclass(frozen=True)
class Judging:
    """`dataset` to judge on, that of the task where None; `count` images or windows of it; under which corruptions, all that
    apply where None. Raises BadInput."""

    dataset: str | None = None
    count: int = 500
    families: tuple[str, ...] | None = None
    severities: tuple[int, ...] = SEVERITIES

    def __post_init__(self) -> None:
        if any(severity not in SEVERITIES for severity in self.severities) or not self.severities:
            raise BadInput(f"--severity is 1 to 5; got {', '.join(map(str, self.severities)) or 'none'}")

    def corruptions(self, items: Any) -> list[Corruption]:
        """Clean first, then every family at every severity. Raises UnknownName."""
        known = applicable(items)
        for family in self.families or ():
            if family not in known:
                raise UnknownName.of(f"corruption of {items.dataset.name}", family, known)
        return [CLEAN, *((family, severity) for family in self.families or known for severity in self.severities)]


def applicable(items: Any) -> tuple[str, ...]:
    """The corruptions that make sense of a dataset."""
    if not isinstance(items, ImageItems):
        return tuple(text_corruptions.FAMILIES)
    return tuple(image_corruptions.families_for(items.image(items.item_ids[0])))


@dataclass(frozen=True, eq=False)
class General:
    """The items that robustness in general is judged on, and what networks said of them.

    Classes have the numbers that the task's dataset gives them, `names`, which are those of the network; its own where None.
    What a task has told as another class is left out: the class `without`, or the items `left_out`.
    """

    items: Any
    judging: Judging
    names: Mapping[str, int] | None = None
    without: int | None = None
    left_out: frozenset[int] = frozenset()
    kept: dict[tuple[str, str, int], Predictions] = field(default_factory=dict, repr=False)
    corrupted: dict[Corruption, list[Pixels]] = field(default_factory=dict, repr=False)

    @cached_property
    def labels(self) -> Mapping[int, int]:
        """The classes of images; nothing of texts."""
        return class_numbers(self.items, known=self.names) if isinstance(self.items, ImageItems) else {}

    @cached_property
    def item_ids(self) -> tuple[int, ...]:
        """The items, in the dataset's seeded order."""
        if isinstance(self.items, ImageItems):
            found = [
                item
                for item in self.items.item_ids
                if item in self.labels and self.labels[item] != self.without and item not in self.left_out
            ]
        else:
            found = [item for item, _ in self.items.texts]
        if not found:
            raise BadInput(f"{self.items.dataset.name} has nothing to judge robustness on")
        return tuple(found[: self.judging.count])

    @property
    def sample(self) -> str:
        """16 hex digits that say which items these are, and what is right of them."""
        classes = [self.labels[item] for item in self.item_ids] if self.labels else None
        return content_id("robustness", self.items.dataset.digest, self.item_ids, classes)

    @property
    def corruptions(self) -> list[Corruption]:
        """What it is judged under. Raises UnknownName."""
        return self.judging.corruptions(self.items)

    def untouched(self, network: Network, corruption: Corruption) -> Predictions:
        """What a network says while it is untouched; asked once."""
        key = network.checkpoint.checkpoint_id, *corruption
        if key not in self.kept:
            self.kept[key] = self.predictions(network, corruption)
        return self.kept[key]

    def predictions(self, network: Network, corruption: Corruption) -> Predictions:
        """What a network says as it is now. Raises BadInput, UnknownName."""
        if isinstance(self.items, ImageItems):
            targets = [self.labels[item] for item in self.item_ids]
            return pixel_predictions(network, self._pixels(corruption), targets, self.item_ids)
        texts = dict(self.items.texts)
        return text_predictions(network, [texts[item] for item in self.item_ids], *corruption)

    def _pixels(self, corruption: Corruption) -> Sequence[Pixels]:
        """The corrupted images; made once, which takes longer than to tell them."""
        if corruption not in self.corrupted:
            images = [self.items.image(item) for item in self.item_ids]
            self.corrupted[corruption] = corrupted_images(images, self.item_ids, *corruption)
        return self.corrupted[corruption]

    def of_untouched(self, network: Network) -> Iterator[Robustness]:
        """Its robustness under every corruption."""
        return (robustness(*one, self.untouched(network, one), None) for one in self.corruptions)

    def of_edited(self, network: Network) -> Iterator[Robustness]:
        """The same of an edited network, beside its untouched self, which was asked before."""
        for one in self.corruptions:
            before = self.kept[network.checkpoint.checkpoint_id, *one]
            yield robustness(*one, self.predictions(network, one), before)


def general_of(task: Task, own: Any, items: Any, judging: Judging, names: Mapping[str, int] | None) -> General:
    """What robustness is judged on beside a task of its `own` items, whose classes have the numbers `names`: without the class,
    or those items, that it has told as another. Raises BadInput, UnknownName."""
    asked = task.images
    if judging.dataset is not None and not isinstance(items, ImageItems | TextWindows):
        raise BadInput(f"robustness is judged on images or texts; {judging.dataset} has neither")
    if asked is None or names is None or not isinstance(own, ImageItems) or not isinstance(items, ImageItems):
        return General(items, judging)
    without, left_out = None, frozenset[int]()
    if asked.target is not None and asked.of_class is not None:
        without = class_number(own, names, asked.of_class)
    if asked.target is not None and own.dataset.digest == items.dataset.digest:
        left_out = frozenset(asked.items or ())
    return General(items, judging, names, without, left_out)
