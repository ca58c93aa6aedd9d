"""Where in a network does a concept sit? Linear probes of every layer's states, at one checkpoint.

Whatever the store already holds is not fitted again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from service.experiments.concept_fits import SiteFits, labelled_cloud, site_fits
from service.experiments.layer_clouds import CloudReader, refuse_non_finite, summarised_sites
from service.experiments.layer_question import asked_sites
from service.experiments.probe_request import Asked
from service.experiments.progress import Progress, tell
from service.experiments.runs import ended_run, now
from service.measures.concept_probe import unwarned
from service.networks.concepts import LabelledConcept
from service.networks.datasets import Items
from service.networks.loading import chosen_device
from service.networks.threads import side_by_side
from service.storage import activations, coverage
from service.storage.concept_rows import Known, known_of, record_probes
from service.storage.probe_directions import stored_directions, write_directions
from service.subjects import Checkpoint, Site

EXPERIMENT = "probe_concepts"


@dataclass(frozen=True)
class Outcome:
    """What was done for one checkpoint: how many probes were fitted, in how many seconds."""

    checkpoint: Checkpoint
    probes: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Prober:
    """How concepts on a dataset are probed at one checkpoint, as a member of an ensemble."""

    reader: CloudReader
    items: Items
    concepts: tuple[LabelledConcept, ...]
    asked: Asked
    ensemble: str

    @property
    def checkpoint(self) -> Checkpoint:
        """The weights that are probed."""
        return self.reader.checkpoint

    def lacks(self) -> bool:
        """Whether the store lacks some of what is asked; loads no network. Raises BadInput, StoreBusy."""
        known, sites = self._known(), self._sites()
        return any(
            self.ensemble not in (found := known[one.concept.concept_id]).ensembles
            or not sites
            or bool(self._unfitted(one, found, sites))
            for one in self.concepts
        )

    def _known(self) -> Mapping[str, Known]:
        asked, own = self.asked, self.checkpoint.checkpoint_id
        return known_of(self.reader.store, own, asked.positions, asked.folds, self.reader.on_wait)

    def _sites(self) -> list[Site]:
        return coverage.recorded_sites(self.reader.store, self.checkpoint.checkpoint_id, self.items.dataset.name)

    def _unfitted(
        self, concept: LabelledConcept, known: Known, sites: Sequence[Site]
    ) -> list[tuple[Site, tuple[str, ...]]]:
        """The asked sites that lack probes, each with the penalties of these. Raises BadInput for a layer that is not there."""
        asked, own = self.asked, concept.concept
        there = stored_directions(self.reader.store, self.checkpoint, own, asked.positions, asked.folds)
        fitted = {one for one in known.fitted if one[0] == "l1" or one[1:] in there}
        found = []
        for site in asked_sites(sites, asked.depths):
            lacking = {penalty for penalty, seed in asked.wanted if (penalty, site.layer, seed) not in fitted}
            found += [(site, tuple(one for one in asked.penalties if one in lacking))] if lacking else []
        return found

    def probe(self) -> Outcome:
        """Fit what is lacking, and record it.

        Raises BadInput (too few positives, unknown layer, states that are NaN), NetworkMismatch, StoreBusy.
        """
        begun = time.perf_counter()
        for concept in self.concepts:
            concept.refuse_fewer_than(self.asked.folds)
        reader = self.reader
        sites = summarised_sites(
            reader.store,
            self.checkpoint,
            self.items,
            reader.sample or self.items.choice.sample,
            reader.network,
            batch_size=reader.batch_size,
            flow_run_id=reader.flow_run_id,
            on_wait=reader.on_wait,
        )
        known = self._known()
        probes = sum(self._probed(one, known[one.concept.concept_id], sites) for one in self.concepts)
        return Outcome(self.checkpoint, probes, time.perf_counter() - begun)

    def _probed(self, concept: LabelledConcept, known: Known, sites: Sequence[Site]) -> int:
        """Probe one concept at the sites that lack it; how many probes."""
        begun, started = now(), time.perf_counter()
        todo = self._unfitted(concept, known, sites)
        label, found = f"{self.checkpoint.label}: {concept.concept.name}", list[SiteFits]()
        with unwarned():
            for fits in side_by_side(partial(self._site_fits, concept), todo):
                found.append(fits)
                tell(Progress("probe", label, len(found), len(todo), "layers"))
        self._write_directions(concept, found)
        tables = {
            "concept_probes": [row for fits in found for row in fits.probes],
            "concept_agreements": [row for fits in found for row in fits.agreements],
            "concept_ensembles": [{"ensemble": self.ensemble}] if self.ensemble not in known.ensembles else [],
        }
        if any(tables.values()):
            self._record(concept, tables, begun, time.perf_counter() - started)
        return len(tables["concept_probes"])

    def _write_directions(self, concept: LabelledConcept, found: Sequence[SiteFits]) -> None:
        """Before the rows: what is recorded can be read."""
        directions = [one for fits in found for one in fits.directions]
        if directions:
            asked, own = self.asked, concept.concept
            write_directions(self.reader.store, self.checkpoint, own, asked.positions, asked.folds, directions)

    def _record(
        self, concept: LabelledConcept, tables: dict[str, list[dict[str, Any]]], begun: datetime, seconds: float
    ) -> None:
        reader, own = self.reader, concept.concept
        run = ended_run(
            EXPERIMENT,
            {"concept": own.name, "definition": own.definition, "ensemble": self.ensemble, **asdict(self.asked)},
            begun,
            self.checkpoint.checkpoint_id,
            own.concept_id,
            device=str(chosen_device(reader.device)),
            flow_run_id=reader.flow_run_id,
            seconds={"measure": seconds},
        )
        record_probes(reader.store, run, own, tables, self.checkpoint.checkpoint_id, reader.on_wait)

    def _site_fits(self, concept: LabelledConcept, todo: tuple[Site, Sequence[str]]) -> SiteFits:
        site, penalties = todo
        asked, summary = self.asked, activations.read_summary(self.reader.store, site)
        refuse_non_finite([summary])
        cloud, _ = labelled_cloud(summary, concept, asked.positions, self.items.documents(), self.reader.device)
        return site_fits(site, cloud, penalties, range(asked.seeds), asked.positions, asked.folds)
