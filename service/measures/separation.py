"""Telling layers apart: texts held out whole, a classifier trained on the rest, and what it confuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from service.errors import BadShape
from service.measures.layered import Layered

FOLDS = 5  # a fifth is held out, as in the study


@runtime_checkable
class Classifier(Protocol):
    """Anything that says which class a state is of."""

    def predict(self, points: Float[Tensor, "points width"]) -> Int[Tensor, " points"]:
        """The class of each raw point, 0 to classes - 1."""
        ...


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often a state of each class (row) was taken for each class (column); classes are layers in the order of depth."""

    counts: Int[Tensor, "classes classes"]

    @property
    def tested(self) -> int:
        """States tested."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of states whose layer was told rightly, 0 to 1."""
        return float(self.counts.diagonal().sum() / self.counts.sum())

    @property
    def within_one(self) -> float:
        """Share of states that were taken for their own layer or one next to it."""
        band = self.counts.triu(-1).tril(1)
        return float(band.sum() / self.counts.sum())

    @property
    def by_class(self) -> list[float | None]:
        """The accuracy of each class; None for a class that was not tested."""
        tested = self.counts.sum(1).tolist()
        right = self.counts.diagonal().tolist()
        return [one / all_ if all_ else None for one, all_ in zip(right, tested, strict=True)]


def confusion(predicted: Int[Tensor, " points"], labels: Int[Tensor, " points"], classes: int) -> Confusion:
    """The confusion matrix of predictions."""
    counts = torch.bincount(labels * classes + predicted, minlength=classes * classes)
    return Confusion(counts.reshape(classes, classes))


def refuse_few_texts(texts: int) -> None:
    """Raise BadShape for fewer texts than folds."""
    if texts < FOLDS:
        raise BadShape(
            f"{FOLDS} folds need {FOLDS} texts or more to hold whole texts out; the dataset has {texts}: give a longer one"
        )


def held_out_texts(clouds: Layered, seed: int) -> Int[Tensor, " texts"]:
    """The texts that a seed holds out: seeds 0 to 4 are the folds of one shuffle, so that together they test every text once;
    5 to 9 those of the next.

    Raises BadShape for fewer texts than folds.
    """
    texts = clouds.text.unique()
    refuse_few_texts(len(texts))
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed // FOLDS))
    return texts[order[seed % FOLDS :: FOLDS]].sort().values


def in_texts(clouds: Layered, texts: Int[Tensor, " texts"]) -> Bool[Tensor, " points"]:
    """Which tokens are of those texts."""
    return torch.isin(clouds.text, texts)


def flat(clouds: Layered) -> tuple[Float[Tensor, "points width"], Int[Tensor, " points"]]:
    """Every state of every layer as one cloud, with its class: the place of its layer among `clouds.layers`."""
    layers, points, width = clouds.states.shape
    labels = torch.arange(layers, device=clouds.states.device).repeat_interleave(points)
    return clouds.states.reshape(layers * points, width), labels


def evaluated(classifier: Classifier, clouds: Layered) -> Confusion:
    """What the classifier confuses among the clouds' states."""
    points, labels = flat(clouds)
    return confusion(classifier.predict(points), labels, len(clouds.layers))


def held_out_vectors(clouds: Layered, seed: int) -> Bool[Tensor, " points"]:
    """A fifth of all vectors, whatever text or token they are of: the study's own split, which lets the same text, and
    nearly the same token, into both parts."""
    total = len(clouds.layers) * len(clouds.text)
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    keep = torch.zeros(total, dtype=torch.bool)
    keep[order[: total // FOLDS]] = True
    return keep


def texts_of(clouds: Layered, vectors: Bool[Tensor, " points"]) -> int:
    """How many texts those of the vectors of all layers are of."""
    return len(clouds.text.repeat(len(clouds.layers))[vectors].unique())


def resampled(clouds: Layered, seed: int) -> Layered:
    """As many texts as there are, drawn with replacement: a bootstrap in which a text's tokens stay together."""
    texts, owner = clouds.text.unique(return_inverse=True)
    drawn = torch.randint(len(texts), (len(texts),), generator=torch.Generator().manual_seed(seed))
    times = torch.bincount(drawn, minlength=len(texts))[owner]
    return clouds.where(torch.arange(len(owner)).repeat_interleave(times))


def some_texts(clouds: Layered, count: int) -> Layered:
    """The tokens of `count` windows, drawn in one seeded order: those of a smaller count are among those of a larger one."""
    items = clouds.item_id.unique()
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(0))
    return clouds.where(torch.isin(clouds.item_id, items[order[:count]]))


def merged(first: Layered, second: Layered) -> Layered:
    """Both clouds as one, with texts, items and all. Raises BadShape where they are not of the same layers and width."""
    if first.layers != second.layers or first.states.shape[2] != second.states.shape[2]:
        raise BadShape(f"clouds of layers {first.layers} and {second.layers} cannot be put together")
    beyond = int(first.text.max()) + 1
    names = ("item_id", "char_end", "position")
    joined = {name: torch.cat([getattr(first, name), getattr(second, name)]) for name in names}
    text = torch.cat([first.text, second.text + beyond])
    return Layered(first.layers, torch.cat([first.states, second.states], 1), text=text, **joined)
