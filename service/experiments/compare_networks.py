"""Do two networks think alike? All layers of one checkpoint against all of another, at the same places of the same texts.

What is recorded is not done again; a pair of checkpoints is a run of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.errors import BadInput
from service.experiments.layer_clouds import refuse_non_finite, summarised_sites
from service.experiments.measure_rows import measure_rows
from service.experiments.progress import Progress, tell
from service.experiments.runs import ended_run, now
from service.measures import Cloud, PairMeasure, find_pair
from service.measures.all_pairs import Compared, all_pairs
from service.measures.declaration import differ
from service.measures.pairing import common_places, without_top
from service.networks.checkpoints import CheckpointSource, Network
from service.networks.datasets import Items
from service.networks.threads import side_by_side
from service.results import PairResult, Summary
from service.storage import activations
from service.storage.database import OnWait, Store
from service.storage.finding_rows import Findings, record_findings
from service.storage.pair_rows import compared, pair_rows
from service.storage.rows import Run
from service.subjects import Checkpoint, Permuted, Positions

EXPERIMENT = "compare_networks"
FEWEST_PAIRS = 32
MOST_TAKEN_OUT = 3
USUAL: tuple[str, ...] = (
    "linear_cka",
    "linear_cka_debiased",
    "procrustes",
    "procrustes_angular",
    "mean_cca",
    "linear_regression",
    "mutual_knn",
)
FILTERS: tuple[Positions, ...] = ("all", "not-first")


@dataclass(frozen=True)
class Comparison:
    """What is asked of two checkpoints: measures by name, random pairings (of whole texts or of single points), and how many
    top principal components are taken out of both clouds. Raises UnknownName, BadInput."""

    measures: tuple[str, ...] = USUAL
    permutations: int = 20
    without_top: int = 0
    seed: int = 0
    permute: Permuted = "items"

    def __post_init__(self) -> None:
        for name in self.measures:
            find_pair(name)
        if self.permutations < 0:
            raise BadInput(f"--permutations is 0 or more; got {self.permutations}")
        if not 0 <= self.without_top <= MOST_TAKEN_OUT:
            raise BadInput(f"--without-top is 0 to {MOST_TAKEN_OUT} principal components; got {self.without_top}")

    def variant(self, positions: Positions) -> str:
        """How the rows of a filter are named."""
        return f"{positions}/without-top-{self.without_top}" if self.without_top else positions

    def lacking(self, known: set[tuple[str, int, str]]) -> dict[Positions, list[PairMeasure]]:
        """The measures of each filter that are not recorded."""
        wanted = [find_pair(name) for name in dict.fromkeys(self.measures)]
        lacking: dict[Positions, list[PairMeasure]] = {
            positions: [one for one in wanted if (one.name, one.version, self.variant(positions)) not in known]
            for positions in FILTERS
        }
        return {positions: measures for positions, measures in lacking.items() if measures}


@dataclass(frozen=True)
class PairOfNetworks:
    """Two checkpoints that are to be compared."""

    first: CheckpointSource
    second: CheckpointSource

    @property
    def label(self) -> str:
        """How people read it."""
        return f"{self.first.checkpoint.label} and {self.second.checkpoint.label}"


@dataclass(frozen=True)
class Outcome:
    """What was done for a pair of checkpoints: rows recorded, places in common, and what to beware of."""

    label: str
    dataset: str
    rows: int
    pairs: int
    warning: str | None
    seconds: float


@dataclass(frozen=True)
class Comparer:
    """How pairs of checkpoints are compared: where, on which texts, and with which networks (asked for only where a summary is
    not in the store). `sample` is in states of each layer."""

    store: Store
    items: Items
    sample: int
    comparison: Comparison
    network: Callable[[CheckpointSource], Network]
    batch_size: int | None = None
    flow_run_id: str | None = None
    on_wait: OnWait = None

    def lacks(self, pair: PairOfNetworks) -> dict[Positions, list[PairMeasure]]:
        """What of the comparison is not recorded. Raises StoreBusy."""
        first, second = (one.checkpoint.checkpoint_id for one in (pair.first, pair.second))
        asked, dataset = self.comparison, self.items.dataset.name
        known = compared(self.store, first, second, dataset, asked.permutations, asked.permute, self.on_wait)
        return asked.lacking(known)

    def compare(self, pair: PairOfNetworks) -> Outcome:
        """Compare what is not recorded yet, and record it.

        Raises BadInput (no or too few common places, states that are not finite), NetworkMismatch, StoreBusy.
        """
        begun, started = now(), time.perf_counter()
        lacking = self.lacks(pair)
        if not lacking:
            return Outcome(pair.label, self.items.dataset.name, 0, 0, None, 0.0)
        first, second = (self.summaries(source) for source in (pair.first, pair.second))
        results: list[PairResult] = []
        warnings: dict[str | None, None] = {}
        pairs = 0
        for positions, measures in lacking.items():
            tell(Progress("compare", f"{pair.label}: {positions}", len(results), None, "rows"))
            clouds = paired_clouds(first, second, positions, self.comparison.without_top)
            for summaries, side in zip((first, second), clouds, strict=True):
                warnings[constant_layers(summaries, side)] = None
            if not pairs:  # once: the filters differ by few points
                warnings[too_few_points(*clouds, measures)] = None
            pairs = max(pairs, len(clouds[0][0].points))
            results += self._results(first, second, clouds, positions, measures)
        measured = time.perf_counter() - started
        run = self._run(pair, lacking, begun, first[0].facts.device, measured)
        tables = {"pair_metrics": pair_rows(results, self.comparison.permutations, self.comparison.permute)}
        asked = measure_rows({measure.name: measure for some in lacking.values() for measure in some}.values())
        identity = pair.first.checkpoint.checkpoint_id
        found = Findings(run, identity, self.items.dataset.name, tables, asked)
        record_findings(self.store, found, self.on_wait, shared=("run_id",))
        warning = "; ".join(one for one in warnings if one) or None
        return Outcome(pair.label, self.items.dataset.name, len(results), pairs, warning, measured)

    def summaries(self, source: CheckpointSource) -> list[Summary]:
        """The summaries at every depth of a checkpoint; by a forward pass, recorded as such, where they are not there.

        Raises NetworkMismatch, BadInput, StoreBusy.
        """
        sites = summarised_sites(
            self.store,
            source.checkpoint,
            self.items,
            self.sample,
            lambda: self.network(source),
            batch_size=self.batch_size,
            flow_run_id=self.flow_run_id,
            on_wait=self.on_wait,
        )
        return [activations.read_summary(self.store, site) for site in sites]

    def _results(
        self,
        first: Sequence[Summary],
        second: Sequence[Summary],
        clouds: tuple[list[Cloud], list[Cloud]],
        positions: Positions,
        measures: Sequence[PairMeasure],
    ) -> Iterator[PairResult]:
        asked = self.comparison
        found = all_pairs(*clouds, measures, asked.permutations, asked.seed, side_by_side, asked.permute)
        return (_result(one, first, second, asked.variant(positions)) for one in found)

    def _run(
        self,
        pair: PairOfNetworks,
        lacking: dict[Positions, list[PairMeasure]],
        begun: datetime,
        device: str,
        seconds: float,
    ) -> Run:
        parameters = {
            "first": _named(pair.first.checkpoint),
            "second": _named(pair.second.checkpoint),
            "measures": {positions: [one.name for one in measures] for positions, measures in lacking.items()},
            "permutations": self.comparison.permutations,
            "permute": self.comparison.permute,
            "without_top": self.comparison.without_top,
        }
        return ended_run(
            EXPERIMENT,
            parameters,
            begun,
            self.items.dataset.name,
            device=device,
            flow_run_id=self.flow_run_id,
            seed=self.comparison.seed,
            seconds={"measure": seconds},
        )


def paired_clouds(
    first: Sequence[Summary], second: Sequence[Summary], positions: Positions = "all", taken_out: int = 0
) -> tuple[list[Cloud], list[Cloud]]:
    """The clouds of two networks' layers at the places that both have, without their top principal components where asked.

    Raises BadInput where the networks did not read the same texts, where states are NaN or infinite, or where there are no or
    too few common places.
    """
    labels = [summaries[0].site.checkpoint.label for summaries in (first, second)]
    read = [(summaries[0].site.dataset, summaries[0].site.dataset_digest) for summaries in (first, second)]
    if read[0] != read[1]:
        raise BadInput(
            f"{labels[0]} read {read[0][0]} and {labels[1]} read {read[1][0]}"
            + (" with other contents" if read[0][0] == read[1][0] else "")
            + ": two networks are compared on the same texts"
        )
    refuse_non_finite((*first, *second))
    rows = common_places(first[0].sample, second[0].sample, positions)
    if len(rows[0]) < FEWEST_PAIRS:
        found = f"only {len(rows[0])} places" if len(rows[0]) else "no place"
        if first[0].facts.kind == second[0].facts.kind == "vision":
            raise BadInput(
                f"{labels[0]} and {labels[1]} have states at {found} of the images in common ({positions}); a comparison needs "
                f"{FEWEST_PAIRS}: add :pooled to the dataset's name, or give a larger --sample"
            )
        raise BadInput(
            f"{labels[0]} and {labels[1]} end a token at {found} in common, of {len(first[0].states)} and "
            f"{len(second[0].states)} states ({positions}); a comparison needs {FEWEST_PAIRS}: give a larger --sample"
        )
    sides = []
    for summaries, own in zip((first, second), rows, strict=True):
        items = summaries[0].sample.item_id[own]
        sides.append([Cloud(without_top(summary.states[own], taken_out), items) for summary in summaries])
    return sides[0], sides[1]


def too_few_points(first: Sequence[Cloud], second: Sequence[Cloud], measures: Sequence[PairMeasure]) -> str | None:
    """What to beware of where there are no more points than dimensions, None where there are."""
    points = len(first[0].points)
    widths = [max(cloud.points.shape[1] for cloud in side) for side in (first, second)]
    found = {measure.name: measure.too_wide(points, *widths) for measure in measures}
    inflated = {name: too_wide for name, too_wide in found.items() if too_wide}
    if not inflated:
        return None
    dimensions = next(iter(inflated.values()))
    return (
        f"{points} common places for {dimensions} dimensions: {', '.join(inflated)} take unrelated networks for alike"
    )


def constant_layers(summaries: Sequence[Summary], clouds: Sequence[Cloud]) -> str | None:
    """The layers of which nothing can be said since all of their states are the same, None where there are none."""
    layers = [str(one.site.layer) for one, cloud in zip(summaries, clouds, strict=True) if not differ(cloud)]
    if not layers:
        return None
    return f"states of {summaries[0].site.checkpoint.label} do not differ at layers {', '.join(layers)}: no value there"


def _result(one: Compared, first: Sequence[Summary], second: Sequence[Summary], variant: str) -> PairResult:
    sites = first[one.row].site.site_id, second[one.column].site.site_id
    return PairResult(*sites, one.measure.name, one.measure.version, variant, one.estimate, one.null)


def _named(checkpoint: Checkpoint) -> dict[str, object]:
    return {"model": checkpoint.model, "step": checkpoint.step, "revision": checkpoint.revision}
