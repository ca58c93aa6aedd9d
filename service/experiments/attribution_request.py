"""From a command line to networks, items, a concept and what is to be done with them: attribution, removal, judging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import BadInput
from service.experiments.attribution_question import OF_GRADIENTS, RELEASED, Ranking, Wanted
from service.experiments.counterfactual_study import Base
from service.experiments.probe_request import Asked
from service.experiments.removals import CONTROLS, Ranked, Removal, asked_removals
from service.networks.checkpoints import CheckpointSource, find_checkpoints
from service.networks.class_labels import class_names
from service.networks.concepts import LabelledConcept, named_form, source_ids
from service.networks.datasets import open_dataset
from service.networks.item_sides import Side, class_side, concept_side
from service.networks.retraining import trained_on
from service.networks.training import Recipe
from service.networks.training_sets import told_training_set, training_set_of


@dataclass(frozen=True)
class Demands:
    """What is asked beside the attribution itself: which items are taken away before networks are trained again, the size of
    the ensemble that is trained (0: the networks named are it), networks on halves of the items, and the share of wrong labels.

    Items are taken away by the mean size of the first method's scores over the targets; if `signed` by the mean score, in which
    an item that helps one half of the targets and hinders the other is nothing; if `as_released` also by the mean score of
    TRAK as released."""

    remove: str | None = None
    controls: tuple[str, ...] = CONTROLS
    members: int = 0
    halves: int = 0
    mislabel: float | None = None
    signed: bool = False
    as_released: bool = False

    def __post_init__(self) -> None:
        if self.remove and not self.members:
            raise BadInput("--remove says what is taken away before networks are trained again: give --retrain too")
        if self.halves and self.halves < 3:
            raise BadInput(f"--halves is 3 or more, or there is nothing to correlate; got {self.halves}")
        if self.mislabel is not None and not 0 < self.mislabel < 1:
            raise BadInput(f"--mislabel is a share between 0 and 1; got {self.mislabel}")

    @property
    def trains(self) -> bool:
        """Whether any network is to be trained."""
        return bool(self.members or self.halves or self.mislabel)


@dataclass(frozen=True, eq=False)
class Question:
    """What is attributed, of which networks, to which items; `base` is the network that is trained anew, where one is."""

    name: str
    sources: tuple[CheckpointSource, ...]
    base: Base | None
    train: Side
    targets: Side
    concept: LabelledConcept | None
    probes: Asked
    layer: int | None
    wanted: Wanted
    demands: Demands
    sample: int | None = None

    @property
    def rankings(self) -> list[Ranking]:
        """By what items are taken away: first by the first method's scores. None where nothing is."""
        if not self.demands.remove:
            return []
        first = Ranking(self.wanted.methods[0], self.demands.signed)
        return list(dict.fromkeys([first, *([Ranking(RELEASED, True)] if self.demands.as_released else [])]))

    @property
    def removals(self) -> list[Removal]:
        """What is taken away, controls and all. Raises BadInput, UnknownName."""
        if not self.demands.remove:
            return []
        exemplars = int((self.train.values > 0).sum())
        return asked_removals(self.demands.remove, len(self.train.ids), self.demands.controls, exemplars)


def asked_attribution(
    models: Sequence[str],
    concept: str | None,
    dataset: str | None,
    targets: str | None,
    revisions: Sequence[str] | None,
    ensemble: str | None,
    layer: int | None,
    wanted: Wanted,
    probes: Asked,
    demands: Demands,
    networks: Path,
    sample: int | None = None,
    device: str = "cpu",
) -> Question:
    """What a command line or a deployment's parameters ask; networks are trained on `device`. Raises UnknownName,
    NetworkMismatch, BadInput."""
    if (concept is None) == (wanted.output == "probe"):
        raise BadInput(
            "the margin of a probe is attributed with --concept NAME=FORM, such as --concept even=classes:0,2,4,6,8"
            if concept is None
            else f"--concept is for --output probe; got --output {wanted.output}"
        )
    sources = tuple(source for model in models for source in find_checkpoints(model, revisions or ()))
    if layer is not None and wanted.output != "probe":
        raise BadInput(f"--layer says whose probe is attributed, and --output is {wanted.output}")
    place = _trained_on(sources, dataset)
    base = _base(sources, place, demands, networks, device)
    if place is None or targets is None:
        raise BadInput("attribution needs the training items and the targets: give --dataset and --targets")
    items, others = open_dataset(place), open_dataset(targets, sample=sample)
    of_items, of_targets = _of_two(concept, items, others)
    train, _ = _side(of_items, items, wanted)
    judged, labelled = _side(of_targets, others, wanted, class_names(items) if wanted.output == "class" else None)
    if labelled is not None:
        labelled.refuse_fewer_than(probes.folds)
    named = ensemble or _usual_name(sources, base, demands)
    judged = judged.some(wanted.targets, wanted.seed)
    question = Question(named, sources, base, train, judged, labelled, probes, layer, wanted, demands, sample)
    _refuse_removals(question)
    for method in set(wanted.methods) & set(OF_GRADIENTS):
        wanted.width(method, len(train.ids))
    if demands.remove and concept is None:
        raise BadInput("--remove asks what becomes of a concept: give --concept")
    return question


def _trained_on(sources: Sequence[CheckpointSource], dataset: str | None) -> str | None:
    """The name of what the networks were trained on: as they say, which it has to be, or as somebody says of those that say
    nothing. Raises BadInput, NetworkMismatch."""
    for source in sources:
        folder = None if source.hub_revision else Path(source.location)
        said = training_set_of(folder) if folder else None
        if folder and said:
            dataset = dataset or said.openable
            trained_on(folder, dataset)
    return dataset


def _base(
    sources: Sequence[CheckpointSource], dataset: str | None, demands: Demands, networks: Path, device: str
) -> Base | None:
    """The one network that is trained anew. Raises BadInput."""
    if not demands.trains:
        return None
    if len(sources) != 1:
        raise BadInput(f"networks are trained anew like one checkpoint: name one; got {len(sources)}")
    if sources[0].hub_revision is not None:
        raise BadInput(
            f"{sources[0].location} is of the hub and does not say how it was trained: name a local checkpoint"
        )
    said = told_training_set(Path(sources[0].location))
    if demands.mislabel and isinstance(said.recipe, Recipe):
        raise BadInput(
            f"--mislabel makes classes wrong, and {sources[0].checkpoint.label} was trained on texts without any"
        )
    return Base(sources[0], dataset or said.openable, said, networks, device)


def _side(
    concept: str | None, items: Any, wanted: Wanted, names: Mapping[str, int] | None = None
) -> tuple[Side, LabelledConcept | None]:
    if concept is not None:
        return concept_side(concept, items, items.item_ids)
    if wanted.output == "class":
        return class_side(items, items.item_ids, names), None
    return Side(items, tuple(sorted(items.item_ids)), {}), None


def _usual_name(sources: Sequence[CheckpointSource], base: Base | None, demands: Demands) -> str:
    if base is not None and demands.members:
        return f"{base.name} x {demands.members}"
    return " + ".join(dict.fromkeys(source.checkpoint.model for source in sources))


def _of_two(concept: str | None, items: Any, targets: Any) -> tuple[str | None, str | None]:
    """The concept on either side: ``json:ITEMS,TARGETS`` names a file for each. Raises BadInput where one file of labels by
    item is to be of two datasets that are not numbered together."""
    name, form = named_form(concept or "")
    kind, _, place = form.partition(":")
    if kind != "json":
        return concept, concept
    both = place.split(",")
    if len(both) == 2 and not Path(place).expanduser().exists():
        first, second = (f"{name}=json:{one}" if name else f"json:{one}" for one in both)
        return first, second
    if items.dataset.name != targets.dataset.name and not (
        source_ids(items) and source_ids(items) == source_ids(targets)
    ):
        raise BadInput(
            f"a file of labels by item is of one dataset, and {items.dataset.name} and {targets.dataset.name} are two: give a "
            "file for each, as json:ITEMS,TARGETS, a column or classes"
        )
    return concept, concept


def _refuse_removals(question: Question) -> None:
    """Raise BadInput, before anything is trained, where more is to be taken away than there is."""
    nothing = np.zeros(len(question.train.ids))
    ranked = Ranked(np.array(question.train.ids), nothing, question.train.values > 0, question.train.groups)
    for removal in question.removals:
        ranked.removed(removal, 0)
