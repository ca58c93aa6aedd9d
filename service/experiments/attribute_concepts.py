"""Which training items is a concept owed to, or a network's own answer? One ensemble, by TRAK and by cheaper methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.errors import BadInput
from service.experiments.attribution_question import KERNEL, OF_GRADIENTS, OF_KERNELS, RELEASED, Wanted
from service.experiments.progress import Progress, tell
from service.experiments.runs import ended_run, now
from service.measures import attribution
from service.measures.attribution_quality import mean_interval
from service.measures.projection import Projection
from service.networks.checkpoints import CheckpointSource
from service.networks.concepts import LabelledConcept
from service.networks.item_features import Member, OnItems, Probe, mean_weights, without_gradients
from service.networks.item_sides import Side
from service.networks.loading import Network
from service.results import ItemFeatures, NetworkFacts
from service.storage.attribution_rows import Attributed, Extreme, Quality, known_attributions, record_attributions
from service.storage.attribution_scores import Scores, are_there, extremes, read_scores, write_scores
from service.storage.database import OnWait, Store
from service.storage.probe_directions import read_directions
from service.subjects import Checkpoint, content_id

EXPERIMENT = "attribute_concepts"
AGREEMENT = "half-ensembles"
HALVED = "two halves of the ensemble"
Pair = tuple[ItemFeatures, ItemFeatures]
SHOWN_TARGETS = 8  # whose own most and least responsible items are recorded, beside those of the mean over all targets


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks whose answers are attributed together: seeds of one training, or checkpoints of one network."""

    name: str
    sources: tuple[CheckpointSource, ...]
    network: Callable[[CheckpointSource], Network]

    @property
    def checkpoint_ids(self) -> list[str]:
        """Of all members, in their order."""
        return [one.checkpoint.checkpoint_id for one in self.sources]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is attributed: an output on targets, to training items; of a concept, at which layer and by which of its probes:
    those of the first `seeds` seeds."""

    train: Side
    targets: Side
    concept: LabelledConcept | None = None
    layer: int | None = None
    positions: str = "all"
    folds: int = 5
    seeds: int = 3


@dataclass(frozen=True, eq=False)
class Attributer:
    """How an ensemble's answers are attributed, and where that is recorded."""

    store: Store
    ensemble: Ensemble
    subject: Subject
    wanted: Wanted
    flow_run_id: str | None = None
    on_wait: OnWait = None
    facts: dict[Checkpoint, NetworkFacts] = field(default_factory=dict, repr=False)

    def identity(self, method: str) -> str:
        """The id of the attribution by one method."""
        subject, concept = self.subject, self.subject.concept
        about = (
            subject.train.digest,
            subject.targets.digest,
            subject.layer,
            subject.positions,
            subject.folds,
            subject.seeds,
        )
        which = concept.concept.concept_id if concept else None
        given = dict(self.wanted.of(method))
        return content_id("attribution", self.ensemble.name, self.ensemble.checkpoint_ids, which, about, method, given)

    def lacking(self) -> list[str]:
        """The methods that are not recorded, or whose scores are gone. Raises StoreBusy."""
        identities = {self.identity(method): method for method in self.wanted.methods}
        known = known_attributions(self.store, identities, self.on_wait)
        gone = {identity for identity, stored in known.items() if not are_there(self.store, [stored])}
        return [method for identity, method in identities.items() if identity not in known.keys() - gone]

    def scores(self, method: str) -> Scores:
        """The scores of a recorded attribution. Raises BadInput where it is not, SummaryMissing, SummaryCorrupt."""
        identity = self.identity(method)
        known = known_attributions(self.store, [identity], self.on_wait)
        if identity not in known:
            raise BadInput(f"{self.ensemble.name} is not attributed by {method} yet: give that method too")
        return read_scores(self.store, known[identity].path, known[identity].digest)

    def attribute(self) -> list[str]:
        """Attribute by the methods that are lacking, and record them; which they were.

        Raises BadInput (a layer without parameters below it, too few items for the projection), NetworkMismatch, StoreBusy.
        """
        begun, started, methods = now(), time.perf_counter(), self.lacking()
        if not methods:
            return []
        own, released = self._features(set(methods))
        found = [self._attributed(method, released if method == RELEASED else own) for method in methods]
        run = ended_run(
            EXPERIMENT,
            {"ensemble": self.ensemble.name, "methods": methods, **self.wanted.parameters},
            begun,
            *(one.attribution_id for one in found),
            device=next(iter(self.facts.values())).device,
            flow_run_id=self.flow_run_id,
            seed=self.wanted.seed,
            seconds={"measure": time.perf_counter() - started},
        )
        sides = [self.subject.train.items.dataset, self.subject.targets.items.dataset]
        qualities = [self._agreement(own)] if len(own) > 1 and "trak" in methods else []
        networks = list(self.facts.items())
        record_attributions(self.store, run, networks, sides, found, qualities, on_wait=self.on_wait)
        return methods

    def member(self, source: CheckpointSource) -> Member:
        """A network of the ensemble with its probe, the mean of its seeds'. Raises NetworkMismatch, SummaryMissing."""
        network, subject = self.ensemble.network(source), self.subject
        self.facts[source.checkpoint] = network.facts
        if subject.concept is None or subject.layer is None:
            return Member(network, self.wanted.output)
        there = read_directions(
            self.store, source.checkpoint, subject.concept.concept, subject.positions, subject.folds
        )
        found = [one for one in there.get(subject.layer, ()) if one.seed < subject.seeds]
        if not found:
            raise BadInput(
                f"{source.checkpoint.label} has no probes of {subject.concept.concept.name!r} at layer {subject.layer}"
            )
        weights = mean_weights([one.weights for one in found])
        bias = float(np.mean([one.bias for one in found]))
        return Member(network, "probe", Probe(subject.layer, weights.to(network.device), bias))

    def _features(self, methods: set[str]) -> tuple[list[Pair], list[Pair]]:
        """Of the training items and of the targets, by every member, each with a projection of its own: those that the methods
        want, and those of TRAK as released, where the training items' gradients are of the attributed output too. States alone
        where no method wants gradients: any network has them."""
        subject, own, released = self.subject, list[Pair](), list[Pair]()
        for place, source in enumerate(self.ensemble.sources):
            member, told = self.member(source), partial(self._told, source)
            if not methods & set(OF_GRADIENTS):
                sides = (subject.train, subject.targets)
                train, targets = (without_gradients(member.states(side, told("states"))) for side in sides)
                own.append((train, targets))
                continue
            if methods & set(OF_GRADIENTS) - {RELEASED}:
                own.append(self._gradients(member, "trak", place, told, trained=True))
            if RELEASED in methods:
                released.append(self._gradients(member, RELEASED, place, told, trained=False))
        return own or released, released

    def _gradients(
        self, member: Member, method: str, place: int, told: Callable[[str], OnItems], trained: bool
    ) -> Pair:
        train, targets = self.subject.train, self.subject.targets
        width = self.wanted.width(method, len(train.ids), member.parameters(train))
        projection = Projection(width, self.wanted.seed, place, self.wanted.of(method)["projection"])
        return (
            member.features(train, projection, told("training items"), trained=trained),
            member.features(targets, projection, told("targets")),
        )

    def _told(self, source: CheckpointSource, what: str) -> OnItems:
        label = f"{source.checkpoint.label}: {what}"
        return lambda done, total: tell(Progress("attribute", label, done, total, "items"))

    def _attributed(self, method: str, pairs: attribution.Pairs) -> Attributed:
        subject, identity = self.subject, self.identity(method)
        values = self._values(method, pairs)
        train, targets = (np.array(side.ids, dtype=np.int64) for side in (subject.train, subject.targets))
        scores = Scores(targets, train, values)
        about = {"ensemble": self.ensemble.name, "method": method, "output": self.wanted.output, "layer": subject.layer}
        stored = write_scores(self.store, identity, scores, about)
        of_gradients, given = method in OF_GRADIENTS, self.wanted.of(method)
        return Attributed(
            attribution_id=identity,
            ensemble=self.ensemble.name,
            members=len(pairs),
            concept_id=subject.concept.concept.concept_id if subject.concept else None,
            output=self.wanted.output,
            layer=subject.layer,
            method=method,
            dataset=subject.train.items.dataset.name,
            targets=subject.targets.items.dataset.name,
            train_items=len(train),
            target_items=len(targets),
            parameters=max(facts.parameters for facts in self.facts.values()),
            dimensions=pairs[0][0].gradients.shape[1] if of_gradients else None,
            projection=given["projection"] if of_gradients else None,
            ridge=given["ridge"] if method in OF_KERNELS else None,
            stored=stored,
            extremes=tuple(self._extremes(scores)),
        )

    def _values(self, method: str, pairs: attribution.Pairs) -> NDArray[np.float32]:
        subject, wanted = self.subject, self.wanted
        if method == RELEASED:
            return attribution.released_trak(pairs)
        if method in OF_KERNELS:
            return attribution.trak(pairs, wanted.ridge, wanted.keep, doubted=method != KERNEL)
        if method == "random":
            return attribution.noise(len(subject.targets.ids), len(subject.train.ids), wanted.seed)
        if method == "gradient-cosine":
            return attribution.cosines(pairs)
        return attribution.similarities(pairs, subject.train.values, subject.targets.values)

    def _extremes(self, scores: Scores) -> list[Extreme]:
        """The items that count most and least: for the mean over the targets, and for some targets."""
        items, count = scores.train_items.tolist(), self.wanted.top
        either = {"either": extremes(scores.magnitude, items, count)["most"]}
        asked: dict[int | None, Mapping[str, list[tuple[int, float]]]] = {
            None: extremes(scores.mean, items, count) | either
        }
        for row in range(min(SHOWN_TARGETS, len(scores.target_items))):
            asked[int(scores.target_items[row])] = extremes(scores.values[row].astype(np.float64), items, count)
        return [
            Extreme(target, side, rank, item, score, self.subject.train.preview(item))
            for target, sides in asked.items()
            for side, found in sides.items()
            for rank, (item, score) in enumerate(found, 1)
        ]

    def _agreement(self, pairs: attribution.Pairs) -> Quality:
        """Do two halves of the ensemble that share no network say the same?"""
        own, correlations = self.identity("trak"), attribution.half_agreement(pairs, self.wanted.ridge)
        if not len(correlations):
            return Quality(own, AGREEMENT, HALVED, None, None, None, 0, "the scores of a half do not vary")
        low, high = mean_interval(correlations)
        note = "Spearman over training items, mean over targets, with a bootstrap over these"
        return Quality(own, AGREEMENT, HALVED, float(correlations.mean()), low, high, len(correlations), note)
