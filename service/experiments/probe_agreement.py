"""Do the members of an ensemble of networks hold a concept alike? Their probes, compared layer by layer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

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
from service.subjects import Site

EXPERIMENT = "compare_probes"
Pair = tuple[Prober, Prober]


@dataclass(frozen=True)
class Compared:
    """What was done: how many pairs of probes were compared, in how many seconds."""

    rows: int
    seconds: float


@dataclass(frozen=True, eq=False)
class ProbedSite:
    """One member at one layer: its labelled states, where they stand, and its probes by seed."""

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
class Members:
    """The members of an ensemble at one step of their trainings."""

    probers: tuple[Prober, ...]

    @property
    def first(self) -> Prober:
        """Any of them: all ask the same."""
        return self.probers[0]

    @property
    def label(self) -> str:
        """How people read it."""
        step = self.first.checkpoint.step
        return self.first.ensemble if step is None else f"{self.first.ensemble} step{step}"

    def lacks(self) -> bool:
        """Whether the store lacks some of the comparisons. Raises StoreBusy."""
        if len(self.probers) < 2:
            return False
        return any(self._uncompared(concept) for concept in self.first.concepts)

    def _uncompared(self, concept: LabelledConcept) -> list[tuple[Pair, set[tuple[int, int]]]]:
        """The pairs that lack comparisons, each with the (layer, seed) of these; a layer that one has not got is not asked."""
        first, own = self.first, concept.concept
        asked = first.asked
        known = compared(first.reader.store, own.concept_id, first.ensemble, asked.positions, asked.folds)
        layers = self._layers(own.dataset)
        found = []
        for pair in combinations(sorted(self.probers, key=lambda one: one.checkpoint.checkpoint_id), 2):
            a, b = (one.checkpoint.checkpoint_id for one in pair)
            wanted = {(layer, seed) for layer in layers[a] & layers[b] for seed in range(asked.seeds)}
            wanted = {one for one in wanted if (a, b, *one) not in known}
            found += [(pair, wanted)] if wanted or not layers[a] else []
        return found

    def _layers(self, dataset: str) -> dict[str, set[int]]:
        """The asked layers that each checkpoint has."""
        first = self.first
        held = coverage.holdings(first.reader.store, [one.checkpoint.checkpoint_id for one in self.probers], dataset)
        asked = first.asked.depths
        return {
            one: {site.layer for site in holding.sites if asked is None or site.layer in asked}
            for one, holding in held.items()
        }

    def compare(self) -> Compared:
        """Compare what is lacking, and record it. Raises SummaryMissing (a member that is not probed), StoreBusy."""
        started = time.perf_counter()
        rows = sum(self._compared(concept) for concept in self.first.concepts) if len(self.probers) > 1 else 0
        return Compared(rows, time.perf_counter() - started)

    def _compared(self, concept: LabelledConcept) -> int:
        begun, started, todo = now(), time.perf_counter(), self._uncompared(concept)
        rows: list[dict[str, Any]] = []
        layers = sorted({layer for _, wanted in todo for layer, _ in wanted})
        for done, layer in enumerate(layers):
            rows += self._at_layer(concept, layer, todo)
            tell(Progress("compare", f"{self.label}: {concept.concept.name}", done + 1, len(layers), "layers"))
        if rows:
            first, own = self.first, concept.concept
            given = {"concept": own.name, "ensemble": first.ensemble, **asdict(first.asked)}
            given["members"] = [one.checkpoint.checkpoint_id for one in self.probers]
            seconds = {"measure": time.perf_counter() - started}
            flow_run_id = first.reader.flow_run_id
            run = ended_run(
                EXPERIMENT, given, begun, own.concept_id, device="cpu", flow_run_id=flow_run_id, seconds=seconds
            )
            record_probes(first.reader.store, run, own, {"concept_agreements": rows}, on_wait=first.reader.on_wait)
        return len(rows)

    def _at_layer(
        self, concept: LabelledConcept, layer: int, todo: Sequence[tuple[Pair, set[tuple[int, int]]]]
    ) -> Iterator[dict[str, Any]]:
        asked, sites = self.first.asked, dict[str, ProbedSite]()
        for pair, wanted in todo:
            seeds = sorted(seed for at, seed in wanted if at == layer)
            for member in pair if seeds else ():
                own = member.checkpoint.checkpoint_id
                sites[own] = sites.get(own) or probed_site(member, concept, layer)
            a, b = (one.checkpoint.checkpoint_id for one in pair)
            for seed in seeds:
                found, width = agreement(sites[a], sites[b], seed, asked.folds)
                row = agreement_row("members", (a, b), layer, (seed, seed), found, asked.positions, asked.folds, width)
                yield {"ensemble": self.first.ensemble, **row}


def probed_site(member: Prober, concept: LabelledConcept, layer: int) -> ProbedSite:
    """A member at a layer, read from the store. Raises SummaryMissing, SummaryCorrupt."""
    store, asked, own = member.reader.store, member.asked, concept.concept
    sites = coverage.recorded_sites(store, member.checkpoint.checkpoint_id, own.dataset)
    site = next(site for site in sites if site.layer == layer)
    summary = activations.read_summary(store, site)
    cloud, sample = labelled_cloud(summary, concept, asked.positions, member.items.documents())
    directions = read_directions(store, member.checkpoint, own, asked.positions, asked.folds)
    return ProbedSite(site, cloud, sample, {one.seed: one for one in directions[layer]})


def agreement(a: ProbedSite, b: ProbedSite, seed: int, folds: int) -> tuple[Agreement, int | None]:
    """How far the probes of one seed agree in two networks, on the common places that both held out, and the width that
    they share. Different networks do not share a basis: where their widths happen to be alike, the cosine is that of chance
    unless they began alike."""
    rows_a, rows_b = common_places(a.sample, b.sample)
    unseen = a.cloud.held_out(seed, folds)[rows_a] & b.cloud.held_out(seed, folds)[rows_b]
    first, second = a.of_seed(seed)[rows_a[unseen]], b.of_seed(seed)[rows_b[unseen]]
    weights = a.directions[seed].weights, b.directions[seed].weights
    width = len(weights[0]) if len(weights[0]) == len(weights[1]) else None
    return Agreement(cosine(*weights), correlation(first, second), int(unseen.sum())), width
