"""The cases of a task of images: those of a class in a style, which are to be told as a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from service.errors import BadInput, UnknownName
from service.networks.class_labels import class_names, class_numbers
from service.networks.edit_cases import VALIDATION_SEED, Cases, CaseSets, Unrelated, scores_of
from service.networks.edit_tasks import ImagesAsked, Task
from service.networks.image_datasets import ImageItems
from service.networks.image_styles import styled
from service.networks.loading import Network
from service.networks.pictures import Pixels
from service.networks.robustness import corrupted_images
from service.networks.vision import VisionNetwork


@dataclass(frozen=True, eq=False)
class ImageDraw:
    """The images of a task, the numbers of classes by name, and the class that each of the dataset's images is."""

    network: VisionNetwork
    items: ImageItems
    asked: ImagesAsked
    names: Mapping[str, int]
    labels: Mapping[int, int]

    @cached_property
    def members(self) -> list[int]:
        """The items that the task is of. Raises UnknownName, BadInput where there are none."""
        if self.asked.items is not None:
            for item in self.asked.items:
                self.items.image(item)
                if self.asked.target is None and item not in self.labels:
                    raise BadInput(
                        f"item {item} of {self.items.dataset.name} has no class to be told as: give a target"
                    )
            return list(dict.fromkeys(self.asked.items))
        own = class_number(self.items, self.names, self.asked.of_class)
        found = [item for item in self.items.item_ids if self.labels.get(item) == own]
        if not found:
            raise BadInput(
                f"the task has no examples: {self.items.dataset.name} has no images of class {self.asked.of_class!r}"
            )
        return found

    def target(self, item: int) -> int:
        """The class that an item is to be told as."""
        return (
            self.labels[item] if self.asked.target is None else class_number(self.items, self.names, self.asked.target)
        )

    def cases(
        self,
        ids: Sequence[int],
        style: str | None,
        own: bool = False,
        family: str = "none",
        severity: int = 0,
        seed: int = 0,
    ) -> Cases:
        """Some items in a style, and then corrupted; their own class their targets if `own`."""
        plain = [self.items.image(item) for item in ids]
        changed = plain if style is None else [styled(pixels, style) for pixels in plain]
        if severity:
            changed = corrupted_images(changed, ids, family, severity, seed)
        targets = torch.tensor([self.labels[item] if own else self.target(item) for item in ids])
        originals = None if style is None or self.asked.target is not None else self.read(plain)
        return Cases(self.read(changed), targets.to(self.network.device), originals)

    def unrelated(self, ids: Sequence[int]) -> Unrelated:
        """Some items as they are, whose classes are compared."""
        return Unrelated(self.read([self.items.image(item) for item in ids]), torch.ones(len(ids), dtype=torch.bool))

    def read(self, pixels: Sequence[Pixels]) -> dict[str, Tensor]:
        """Images as the network reads them, on its device."""
        return self.network.inputs(pixels)


def class_number(items: ImageItems, names: Mapping[str, int], named: str | int | None) -> int:
    """The number of a class by its name. Raises UnknownName."""
    if str(named) not in names:
        raise UnknownName.of(f"class of {items.dataset.name}", str(named), names)
    return names[str(named)]


def image_case_sets(
    network: Network, task: Task, items: ImageItems, seed: int, names: Mapping[str, int] | None = None
) -> CaseSets:
    """The cases of a task of images. Raises BadInput, UnknownName."""
    if task.images is None or not isinstance(items, ImageItems) or not isinstance(network, VisionNetwork):
        raise BadInput(f"{network.checkpoint.label} reads images, and {task.dataset} is a dataset of texts")
    asked, known = task.images, class_names(items) if names is None else names
    draw = ImageDraw(network, items, asked, known, class_numbers(items, known=known))
    exemplars, validation, held_out = _parts(draw.members, asked, seed)
    style, (others, choosing) = asked.style, _others(draw, seed)
    general, apart = {}, others[: asked.held_out]
    if style is not None:
        general["other classes"] = draw.cases(apart, style, own=True)
    if asked.other_style is not None:
        general[f"style {asked.other_style}"] = draw.cases(held_out, asked.other_style)
        general[f"other classes, style {asked.other_style}"] = draw.cases(apart, asked.other_style, own=True)
    sets = CaseSets(
        draw.cases(exemplars, style),
        draw.cases(validation, style),
        draw.cases(held_out, style),
        general,
        lambda family, severity: draw.cases(held_out, style, family=family, severity=severity, seed=seed),
        draw.unrelated(others),
        draw.unrelated(choosing),
    )
    _refuse_classes(draw, sets.exemplars)
    return sets


def _parts(members: Sequence[int], asked: ImagesAsked, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Exemplars, those that choose settings, and those that judge."""
    if len(members) < asked.exemplars + 2:
        raise BadInput(
            f"the task has {len(members)} examples: it needs {asked.exemplars} exemplars and 2 or more that are held out"
        )
    validation, rest = _apart(members, min(asked.held_out, (len(members) - asked.exemplars) // 2))
    drawn = _drawn(rest, seed)
    return drawn[: asked.exemplars], validation, drawn[asked.exemplars :][: asked.held_out]


def _apart(items: Sequence[int], count: int) -> tuple[list[int], list[int]]:
    """As many items as choose settings, the same in every draw, so that none of them judges in any; and the rest."""
    drawn = _drawn(items, VALIDATION_SEED)
    return drawn[:count], drawn[count:]


def _drawn(items: Sequence[int], seed: int) -> list[int]:
    """Items in a seeded order."""
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed)).tolist()
    return [items[place] for place in order]


def _others(draw: ImageDraw, seed: int) -> tuple[list[int], list[int]]:
    """Items of classes that the task is not of, as many as are compared, and as many others to choose settings by; where it is
    of items of every class, those that it is not of. Raises BadInput where there are fewer than 2."""
    own, members = {draw.labels.get(item) for item in draw.members}, set(draw.members)
    known = [item for item in draw.items.item_ids if item in draw.labels and item not in members]
    found = [item for item in known if draw.labels[item] not in own] or known
    if len(found) < 2:
        raise BadInput(f"{draw.items.dataset.name} has {len(found)} images that the task is not of: it needs 2 or more")
    choosing, rest = _apart(found, min(draw.asked.unrelated, len(found) // 2))
    return _drawn(rest, seed)[: len(choosing)], choosing


@torch.no_grad()
def _refuse_classes(draw: ImageDraw, cases: Cases) -> None:
    known = scores_of(draw.network, cases.rows([0]).inputs).shape[-1]
    largest = int(cases.targets.max())
    if largest >= known:
        named = next(name for name, number in draw.names.items() if number == largest)
        raise BadInput(
            f"{draw.network.checkpoint.label} tells {known} classes, and the task asks for class {named!r} of "
            f"{draw.items.dataset.name}, which is number {largest}"
        )
