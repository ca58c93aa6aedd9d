"""From a command line to networks, items, a concept and what is to be done with them: attribution, removal, judging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import BadInput
from service.experiments.attribute_concepts import Attributer, Ensemble, Subject
from service.experiments.attribution_judging import Halves, Judging, Mislabelled
from service.experiments.attribution_question import Wanted
from service.experiments.counterfactual_rows import About, Judge
from service.experiments.counterfactual_study import Base, Without, unchanged
from service.experiments.probe_concepts import Prober
from service.experiments.probe_plan import Probing
from service.experiments.probe_request import Asked
from service.experiments.removals import CONTROLS, NOTHING, Ranked, Removal, asked_removals
from service.networks.checkpoints import CheckpointSource, find_checkpoints
from service.networks.concepts import LabelledConcept
from service.networks.datasets import open_dataset
from service.networks.item_sides import Side, class_side, concept_side
from service.networks.loading import Network
from service.networks.retraining import Retraining, trained_on
from service.networks.training_sets import training_set_of
from service.storage.answers import ask
from service.storage.database import OnWait, Store
from service.subjects import content_id

BEST_LAYER = """
select layer from lab.concept_fits
where concept_id = $concept and positions = $positions and folds = $folds and penalty = 'l2' and labels = 'real'
  and stream = 'residual' and seed < $seeds and list_contains($revisions, revision)
group by layer order by avg(selectivity) desc, layer limit 1
"""


@dataclass(frozen=True)
class Demands:
    """What is asked beside the attribution itself: which items are taken away before networks are trained again, the size of
    the ensemble that is trained (0: the networks named are it), networks on halves of the items, and the share of wrong labels.

    Items are taken away by the mean size of their scores over the targets; if `signed` by the mean score, in which an item that
    helps one half of the targets and hinders the other is nothing."""

    remove: str | None = None
    controls: tuple[str, ...] = CONTROLS
    members: int = 0
    halves: int = 0
    mislabel: float | None = None
    signed: bool = False

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
    def ranking(self) -> str:
        """By what items are taken away: the first method's scores, by their size or with their sign."""
        return f"{self.wanted.methods[0]}, signed" if self.demands.signed else self.wanted.methods[0]

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
) -> Question:
    """What a command line or a deployment's parameters ask. Raises UnknownName, NetworkMismatch, BadInput."""
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
    base = _base(sources, place, demands, networks)
    if place is None or targets is None:
        raise BadInput("attribution needs the training items and the targets: give --dataset and --targets")
    _refuse_one_file_of_two(concept, place, targets)
    items, others = open_dataset(place), open_dataset(targets, sample=sample)
    train, _ = _side(concept, items, wanted)
    judged, labelled = _side(concept, others, wanted)
    if labelled is not None:
        labelled.refuse_fewer_than(probes.folds)
    named = ensemble or _usual_name(sources, base, demands)
    judged = judged.some(wanted.targets, wanted.seed)
    question = Question(named, sources, base, train, judged, labelled, probes, layer, wanted, demands, sample)
    _refuse_removals(question)
    if wanted.dimensions and wanted.dimensions > len(train.ids) and not wanted.ridge:
        raise BadInput(
            f"--dimensions {wanted.dimensions} is more than the {len(train.ids)} training items: give fewer, or a --ridge"
        )
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
            dataset = dataset or said.dataset
            trained_on(folder, dataset)
    return dataset


def _base(sources: Sequence[CheckpointSource], dataset: str | None, demands: Demands, networks: Path) -> Base | None:
    """The one network that is trained anew. Raises BadInput."""
    if not demands.trains:
        return None
    if len(sources) != 1:
        raise BadInput(f"networks are trained anew like one checkpoint: name one; got {len(sources)}")
    if sources[0].hub_revision is not None:
        raise BadInput(
            f"{sources[0].location} is of the hub and does not say how it was trained: name a local checkpoint"
        )
    _, said = trained_on(Path(sources[0].location), dataset or "")
    return Base(sources[0], dataset or said.dataset, said, networks)


def _side(concept: str | None, items: Any, wanted: Wanted) -> tuple[Side, LabelledConcept | None]:
    if concept is not None:
        return concept_side(concept, items, items.item_ids)
    if wanted.output == "class":
        return class_side(items, items.item_ids), None
    return Side(items, tuple(sorted(items.item_ids)), {}), None


def _usual_name(sources: Sequence[CheckpointSource], base: Base | None, demands: Demands) -> str:
    if base is not None and demands.members:
        return f"{base.name} x {demands.members}"
    return " + ".join(dict.fromkeys(source.checkpoint.model for source in sources))


def _refuse_one_file_of_two(concept: str | None, dataset: str, targets: str) -> None:
    """Raise BadInput where one file of labels by item is to be of two datasets."""
    if concept and dataset != targets and (concept.startswith("json:") or "=json:" in concept):
        raise BadInput(
            f"a file of labels by item is of one dataset, and attribution asks of two, {dataset} and {targets}: give a column
            or " "classes, or one dataset for both"
        )


def _refuse_removals(question: Question) -> None:
    """Raise BadInput, before anything is trained, where more is to be taken away than there is."""
    nothing = np.zeros(len(question.train.ids))
    ranked = Ranked(np.array(question.train.ids), nothing, question.train.values > 0)
    for removal in question.removals:
        ranked.removed(removal, 0)


@dataclass(frozen=True, eq=False)
class Study:
    """A question with a store to answer it in."""

    question: Question
    store: Store
    network: Callable[[CheckpointSource], Network]
    flow_run_id: str | None = None
    on_wait: OnWait = None
    device: str = "cpu"

    def probers(self, sources: Sequence[CheckpointSource], ensemble: str) -> list[Prober]:
        """How these networks are probed for the concept, as an ensemble; none without a concept."""
        question = self.question
        if question.concept is None:
            return []
        items = question.targets.items
        sample = question.sample
        probing = Probing(tuple(sources), items, (question.concept,), question.probes, ensemble, None, sample)
        return probing.probers(self.store, self.network, None, self.flow_run_id, self.on_wait, self.device)

    def layer(self, sources: Sequence[CheckpointSource]) -> int | None:
        """The layer whose probe is attributed: the one asked, else where the ensemble's probes are the most selective. None
        without a concept. Raises BadInput where nothing is probed yet."""
        question = self.question
        if question.concept is None or question.layer is not None:
            return question.layer
        given = {
            "revisions": [source.checkpoint.revision for source in sources],
            "seeds": question.probes.seeds,
            "concept": question.concept.concept.concept_id,
            "positions": question.probes.positions,
            "folds": question.probes.folds,
        }
        found = ask(self.store, BEST_LAYER, given).to_pylist()
        if not found:
            raise BadInput(f"{question.name} is not probed for {question.concept.concept.name!r} yet")
        return int(found[0]["layer"])

    def attributer(self, sources: Sequence[CheckpointSource], layer: int | None) -> Attributer:
        """How the ensemble's answers are attributed."""
        question, probes = self.question, self.question.probes
        subject = Subject(
            question.train, question.targets, question.concept, layer, probes.positions, probes.folds, probes.seeds
        )
        ensemble = Ensemble(question.name, tuple(sources), self.network)
        return Attributer(self.store, ensemble, subject, question.wanted, self.flow_run_id, self.on_wait)

    def trainings(self, attributer: Attributer) -> dict[str, Without]:
        """The networks of the counterfactual, by name: the ensemble itself, and those without some items."""
        question, base = self.question, self.question.base
        if base is None or not question.removals:
            return {}
        scores = attributer.scores(question.wanted.methods[0])
        values = scores.mean if question.demands.signed else scores.magnitude
        ranked = Ranked(scores.train_items, values, question.train.values > 0)
        members, study = question.demands.members, self._removals_id(attributer)
        return {**unchanged(base, members), **base.without(ranked, question.removals, members, study)}

    def ensemble_without(self, removal: str, attributer: Attributer) -> str:
        """What the networks of a removal are called together."""
        if removal == NOTHING.name:
            return self.question.name
        return f"{self.question.name} without {removal} ({self._removals_id(attributer)[:6]})"

    def _removals_id(self, attributer: Attributer) -> str:
        identity = attributer.identity(self.question.wanted.methods[0])
        return content_id("removals", identity, self.question.demands.signed)

    def judge(self, attributer: Attributer) -> Judge:
        """What notes the networks of the counterfactual. Raises BadInput without a concept."""
        question, layer, probes = self.question, attributer.subject.layer, self.question.probes
        if question.concept is None or layer is None:
            raise BadInput("what becomes of a concept without its items is asked with --concept")
        about = About(
            attribution_id=attributer.identity(question.wanted.methods[0]),
            ensemble=question.name,
            concept_id=question.concept.concept.concept_id,
            layer=layer,
            method=question.ranking,
            positions=probes.positions,
            folds=probes.folds,
            probe_seeds=probes.seeds,
            dataset=question.train.items.dataset.name,
        )
        items, count = question.targets.items, len(question.train.ids)
        return Judge(self.store, about, items, count, self.network, self.flow_run_id, self.on_wait)

    def first_trainings(self) -> dict[str, Retraining]:
        """The trainings that no score decides: the ensemble, and what the attribution is judged by."""
        question, base, found = self.question, self.question.base, dict[str, Retraining]()
        if base is None:
            return found
        found |= base.members(question.demands.members)
        for judging in self.judgings(self.attributer(question.sources, None)):
            found |= judging.jobs
        return found

    def judgings(self, attributer: Attributer) -> list[Judging]:
        """What is trained to judge the attribution by."""
        question, base, found = self.question, self.question.base, list[Judging]()
        if base is not None and question.demands.halves:
            found.append(
                Halves(f"{question.name}: {question.demands.halves} halves", attributer, base, question.demands.halves)
            )
        if base is not None and question.demands.mislabel:
            found.append(Mislabelled(f"{question.name}: wrong labels", attributer, base, question.demands.mislabel))
        return found
