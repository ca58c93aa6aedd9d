"""Do two networks hold a concept alike, or one network two concepts? Their probes, compared layer by layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import combinations, pairwise
from typing import Any, Literal

from service.experiments.concept_fits import agreement_row, labelled_cloud
from service.experiments.probe_concepts import Prober
from service.experiments.progress import Progress, tell
from service.experiments.runs import ended_run, now
from service.measures.concept_probe import correlation, cosine
from service.measures.pairing import common_places
from service.measures.probe_fits import Agreement, LabelledCloud
from service.networks.concepts import LabelledConcept
from service.results import SampledTokens
from service.storage import activations, coverage
from service.storage.concept_rows import compared, record_probes
from service.storage.probe_directions import Direction, read_directions
from service.subjects import Checkpoint, Site

EXPERIMENT = "compare_probes"
Between = Literal["members", "steps", "concepts", "retrained"]
Pair = tuple["Side", "Side"]


@dataclass(frozen=True)
class Compared:
    """What was done: how many pairs of probes were compared, in how many seconds."""

    rows: int
    seconds: float


@dataclass(frozen=True, eq=False)
class ProbedSite:
    """One network at one layer: its labelled states, where they stand, and its probes by seed."""

    site: Site
    cloud: LabelledCloud
    sample: SampledTokens
    directions: dict[int, Direction]
    margins: dict[int, Any] = field(default_factory=dict)

    def of_seed(self, seed: int) -> Any:
        """The margins of all its points."""
        if seed not in self.margins:
            one = self.directions[seed]
            self.margins[seed] = (self.cloud.states.cpu() @ one.weights + one.bias).double()
        return self.margins[seed]


@dataclass(frozen=True, eq=False)
class Side:
    """A concept's probes at one checkpoint."""

    prober: Prober
    concept: LabelledConcept

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint's id."""
        return self.prober.checkpoint.checkpoint_id

    @property
    def concept_id(self) -> str:
        """The concept's id."""
        return self.concept.concept.concept_id


@dataclass(frozen=True, eq=False)
class Comparison:
    """Pairs of probes that are compared layer by layer, seed by seed, all asked alike, the first of each pair of one concept.
    `between` says what they are; `ensemble` is whose networks are compared, None where one model is compared with itself."""

    between: Between
    pairs: tuple[Pair, ...]
    ensemble: str | None = None

    @property
    def first(self) -> Side:
        """Any of them: all ask the same."""
        return self.pairs[0][0]

    @property
    def label(self) -> str:
        """How people read it."""
        checkpoint = self.first.prober.checkpoint
        who = self.ensemble or checkpoint.model
        step = "" if checkpoint.step is None or self.between == "steps" else f" step{checkpoint.step}"
        return f"{who}{step}, {self.between}: {self.first.concept.concept.name}"

    def lacks(self) -> bool:
        """Whether the store lacks some of it. Raises StoreBusy."""
        return bool(self._uncompared())

    def _uncompared(self) -> list[tuple[Pair, set[tuple[int, int]]]]:
        """The pairs that lack comparisons, each with the (layer, seed) of these; a layer that one has not got is not asked."""
        own, asked = self.first, self.first.prober.asked
        store = own.prober.reader.store
        known = compared(store, self.between, own.concept_id, self.ensemble, asked.positions, asked.folds)
        layers = self._layers()
        found = []
        for pair in self.pairs:
            a, b = (one.checkpoint_id for one in pair)
            other = other_concept(pair)
            wanted = {(layer, seed) for layer in layers[a] & layers[b] for seed in range(asked.seeds)}
            wanted = {one for one in wanted if (other, a, b, *one) not in known}
            found += [(pair, wanted)] if wanted or not layers[a] else []
        return found

    def _layers(self) -> dict[str, set[int]]:
        """The asked layers that each checkpoint has."""
        own, asked = self.first, self.first.prober.asked.depths
        checkpoints = {one.checkpoint_id for pair in self.pairs for one in pair}
        held = coverage.holdings(own.prober.reader.store, sorted(checkpoints), own.concept.concept.dataset)
        return {
            one: {site.layer for site in holding.sites if asked is None or site.layer in asked}
            for one, holding in held.items()
        }

    def compare(self) -> Compared:
        """Compare what is lacking, and record it. Raises SummaryMissing (a network that is not probed), StoreBusy."""
        begun, started, todo = now(), time.perf_counter(), self._uncompared()
        rows: list[dict[str, Any]] = []
        layers = sorted({layer for _, wanted in todo for layer, _ in wanted})
        for done, layer in enumerate(layers):
            rows += self._at_layer(layer, todo)
            tell(Progress("compare", self.label, done + 1, len(layers), "layers"))
        if rows:
            self._record(rows, begun, time.perf_counter() - started)
        return Compared(len(rows), time.perf_counter() - started)

    def _record(self, rows: list[dict[str, Any]], begun: datetime, seconds: float) -> None:
        own, reader = self.first.concept.concept, self.first.prober.reader
        given = {
            "concept": own.name,
            "between": self.between,
            "ensemble": self.ensemble,
            **asdict(self.first.prober.asked),
        }
        given["pairs"] = [[one.checkpoint_id, one.concept_id] for pair in self.pairs for one in pair]
        run = ended_run(
            EXPERIMENT,
            given,
            begun,
            own.concept_id,
            device="cpu",
            flow_run_id=reader.flow_run_id,
            seconds={"measure": seconds},
        )
        record_probes(reader.store, run, own, {"concept_agreements": rows}, on_wait=reader.on_wait)

    def _at_layer(self, layer: int, todo: Sequence[tuple[Pair, set[tuple[int, int]]]]) -> Iterator[dict[str, Any]]:
        asked, sites = self.first.prober.asked, dict[tuple[str, str], ProbedSite]()
        for pair, wanted in todo:
            seeds = sorted(seed for at, seed in wanted if at == layer)
            a, b = ((one.checkpoint_id, one.concept_id) for one in pair)
            for one in pair if seeds else ():
                key = one.checkpoint_id, one.concept_id
                sites[key] = sites.get(key) or probed_site(one.prober, one.concept, layer)
            for seed in seeds:
                found, width = agreement(sites[a], sites[b], seed, asked.folds)
                row = agreement_row(
                    self.between, (a[0], b[0]), layer, (seed, seed), found, asked.positions, asked.folds, width
                )
                yield {"ensemble": self.ensemble, "other_concept_id": other_concept(pair), **row}


def other_concept(pair: Pair) -> str | None:
    """The id of the second concept, None where both are of one."""
    a, b = pair
    return None if a.concept_id == b.concept_id else b.concept_id


def comparisons(probers: Sequence[Prober]) -> list[Comparison]:
    """What is compared of an ensemble: its members at each step of their trainings; the checkpoints of one model, each with the
    next and with the last; and the concepts at each checkpoint."""
    if not probers:
        return []
    ensemble = probers[0].ensemble
    found = [
        Comparison(between, pairs, ensemble if between == "members" else None)
        for sides in ([Side(one, concept) for one in probers] for concept in probers[0].concepts)
        for between, pairs in (*_members(sides), *_steps(sides))
    ]
    return found + [one for prober in probers for one in _concepts(prober)]


def _grouped(sides: Sequence[Side], by: Callable[[Checkpoint], Hashable]) -> list[list[Side]]:
    """Those of two sides or more."""
    groups: dict[Hashable, list[Side]] = {}
    for side in sides:
        groups.setdefault(by(side.prober.checkpoint), []).append(side)
    return [group for group in groups.values() if len(group) > 1]


def _members(sides: Sequence[Side]) -> Iterator[tuple[Between, tuple[Pair, ...]]]:
    """The members that are at one step."""
    for group in _grouped(sides, lambda checkpoint: checkpoint.step):
        yield "members", tuple(combinations(sorted(group, key=lambda one: one.checkpoint_id), 2))


def _steps(sides: Sequence[Side]) -> Iterator[tuple[Between, tuple[Pair, ...]]]:
    """The checkpoints of each model, which share a basis."""
    for group in _grouped([one for one in sides if one.prober.checkpoint.step is not None], lambda one: one.model):
        ordered = sorted(group, key=lambda one: one.prober.checkpoint.step or 0)
        pairs = [*pairwise(ordered), *((one, ordered[-1]) for one in ordered[:-2])]
        yield "steps", tuple(pairs)


def _concepts(prober: Prober) -> Iterator[Comparison]:
    """Every two concepts at a checkpoint."""
    sides = sorted((Side(prober, concept) for concept in prober.concepts), key=lambda one: one.concept_id)
    for place, side in enumerate(sides[:-1]):
        yield Comparison("concepts", tuple((side, other) for other in sides[place + 1 :]))


def probed_site(member: Prober, concept: LabelledConcept, layer: int) -> ProbedSite:
    """A concept in a network at a layer, read from the store. Raises SummaryMissing, SummaryCorrupt."""
    store, asked, own = member.reader.store, member.asked, concept.concept
    sites = coverage.recorded_sites(store, member.checkpoint.checkpoint_id, own.dataset)
    site = next(site for site in sites if site.layer == layer)
    summary = activations.read_summary(store, site)
    cloud, sample = labelled_cloud(summary, concept, asked.positions, member.items.documents())
    directions = read_directions(store, member.checkpoint, own, asked.positions, asked.folds)
    return ProbedSite(site, cloud, sample, {one.seed: one for one in directions[layer]})


def agreement(a: ProbedSite, b: ProbedSite, seed: int, folds: int) -> tuple[Agreement, int | None]:
    """How far the probes of one seed agree, on the common places that both held out, and the width that they share. Directions
    are those in the states as they are, not standardised, so that all cosines are in one scale. Different networks do not share
    a basis: where their widths happen to be alike, the cosine is that of chance unless they began alike."""
    rows_a, rows_b = common_places(a.sample, b.sample)
    unseen = a.cloud.held_out(seed, folds)[rows_a] & b.cloud.held_out(seed, folds)[rows_b]
    first, second = a.of_seed(seed)[rows_a[unseen]], b.of_seed(seed)[rows_b[unseen]]
    weights = a.directions[seed].weights, b.directions[seed].weights
    width = len(weights[0]) if len(weights[0]) == len(weights[1]) else None
    return Agreement(cosine(*weights), correlation(first, second), int(unseen.sum())), width
