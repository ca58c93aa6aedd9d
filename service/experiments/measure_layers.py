"""The shape of learning: how the cloud of hidden states is shaped, layer by layer, at one checkpoint.

Load, extract, measure, record; whatever the store already holds is not done again.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from service.experiments.layer_question import Missing, Question, Wish, asked_sites, missing
from service.experiments.measure_rows import measure_rows
from service.experiments.progress import Progress, tell
from service.experiments.runs import ended_run, now
from service.measures import Cloud, LayerMeasure
from service.networks.checkpoints import Network
from service.networks.hidden_states import extract
from service.networks.threads import side_by_side
from service.results import Estimate, LayerResult, NetworkFacts, Summary
from service.storage import activations
from service.storage.activations import StoredSummary
from service.storage.database import Store
from service.storage.rows import Entry, RunRows, record, rows_of
from service.subjects import Checkpoint, Site, content_id


@dataclass
class Stopwatch:
    """Seconds spent by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class Outcome:
    """What was done for one checkpoint: `rows` metric rows at `sites` sites; `loaded` says whether its network was,
    `worker` which process on which host did it."""

    checkpoint: Checkpoint
    sites: int
    rows: int
    loaded: bool
    seconds: float
    worker: str = ""


def estimates(measure: LayerMeasure, procedure: str, cloud: Cloud, summary: Summary) -> Mapping[str, Estimate]:
    """The estimates of one measure by detail; undefined, with the reason, where states are NaN or infinite."""
    if summary.non_finite:
        return {"": Estimate.undefined(f"{summary.non_finite} of {summary.tokens_seen} states are NaN or infinite")}
    if measure.needs_previous and cloud.previous is None:
        return {"": Estimate.undefined("there is no earlier layer to compare with", len(cloud.points))}
    apply = measure.released if procedure == "released" and measure.released else measure.corrected
    return apply(cloud)


def layer_results(summary: Summary, previous: Summary | None, wishes: Sequence[Wish]) -> list[LayerResult]:
    """Every wished estimate of one site. Position filters that keep the same tokens share one computation."""
    clouds = _clouds(summary, previous, wishes)
    found: dict[tuple[int, str, str], Mapping[str, Estimate]] = {}
    results = []
    for wish in wishes:
        cloud = clouds[wish.positions]
        key = (id(cloud), wish.measure.name, wish.procedure)
        if key not in found:
            found[key] = estimates(wish.measure, wish.procedure, cloud, summary)
        for detail, estimate in found[key].items():
            variant = f"{wish.prefix}/{detail}" if detail else wish.prefix
            results.append(
                LayerResult(summary.site.site_id, wish.measure.name, wish.measure.version, variant, estimate)
            )
    return results


def _clouds(summary: Summary, previous: Summary | None, wishes: Sequence[Wish]) -> dict[str, Cloud]:
    """A cloud for each position filter that is wished for; one and the same where two filters keep the same tokens."""
    whole = Cloud(
        summary.states,
        items=summary.sample.item_id,
        moments=summary.moments.get("all"),
        previous=None if previous is None or previous.non_finite or summary.non_finite else previous.states,
    )
    clouds = {"all": whole}
    for positions in {wish.positions for wish in wishes} - {"all"}:
        keep, moments = summary.sample.keep(positions), summary.moments.get(positions)
        same = bool(keep.all()) and (moments is None or moments.tokens == summary.moments["all"].tokens)
        clouds[positions] = whole if same else whole.where(keep, moments)
    return clouds


@dataclass(frozen=True, eq=False)
class Measured:
    """What was found of one checkpoint, as rows that are still to be recorded; None where nothing was missing."""

    outcome: Outcome
    rows: RunRows | None


def measure_checkpoint(
    store: Store,
    checkpoint: Checkpoint,
    question: Question,
    network: Callable[[], Network],
    *,
    batch_size: int | None = None,
    flow_run_id: str | None = None,
    seed: int = 0,
    on_wait: Callable[[str], None] | None = None,
) -> Outcome:
    """Measure one checkpoint and record it; `network` is called only where a forward pass is needed.

    Raises BadInput (too few tokens, unknown layer), NetworkMismatch, StoreBusy, StoreNotWritable, StoreUnreachable.
    """
    lacking = missing(store, [checkpoint], question, on_wait)[checkpoint]
    found = measured(
        store, checkpoint, question, lacking, network, batch_size=batch_size, flow_run_id=flow_run_id, seed=seed
    )
    if found.rows is not None:
        record(store, found.rows, on_wait)
    return found.outcome


def measured(
    store: Store,
    checkpoint: Checkpoint,
    question: Question,
    lacking: Missing,
    network: Callable[[], Network],
    *,
    batch_size: int | None = None,
    flow_run_id: str | None = None,
    seed: int = 0,
) -> Measured:
    """What `lacking` of one checkpoint, measured; its summaries are in the store then, and its rows are nowhere yet. Asks
    no database, so that any host can do it.

    Raises BadInput, NetworkMismatch, StoreNotWritable, StoreUnreachable.
    """
    begun, watch = now(), Stopwatch()
    if not lacking:
        return Measured(Outcome(checkpoint, 0, 0, False, 0.0), None)
    stored = _stored_summaries(store, checkpoint, question, network, batch_size, watch) if lacking.extract else []
    sites = [summary.site for summary, _ in stored] or list(lacking.sites)
    wishes = lacking.wishes
    if wishes is None:
        wishes = {site.site_id: question.wishes for site in asked_sites(sites, question.layers)}
    fresh = {summary.site.site_id: summary for summary, _ in stored}
    with watch.stage("measure"):
        results = list(_measured(store, sites, fresh, wishes))
    facts = (stored[0][0] if stored else activations.read_summary(store, sites[0])).facts
    run = ended_run(
        "measure_layers",
        question.parameters,
        begun,
        device=facts.device,
        flow_run_id=flow_run_id,
        seed=seed,
        seconds=watch.seconds,
        run_id=content_id("run", flow_run_id or begun.isoformat(), checkpoint.checkpoint_id, question.parameters),
    )
    entry = Entry(
        run=run,
        checkpoint=checkpoint,
        facts=facts,
        dataset=question.items.dataset,
        measures=measure_rows(question.measures),
        summaries=stored,
        results=results,
        loss=stored[0][0].loss if stored else None,
    )
    loaded = "load" in watch.seconds
    worker = f"{platform.node()}:{os.getpid()}"
    outcome = Outcome(checkpoint, len(wishes), len(results), loaded, sum(watch.seconds.values()), worker)
    return Measured(outcome, rows_of(entry))


def _stored_summaries(
    store: Store,
    checkpoint: Checkpoint,
    question: Question,
    network: Callable[[], Network],
    batch_size: int | None,
    watch: Stopwatch,
) -> list[tuple[Summary, StoredSummary]]:
    """The summaries of every site, on disk: those that an interrupted run left there, else by one forward pass."""
    left = _left_behind(store, checkpoint, question)
    if left:
        return left
    with watch.stage("load"):
        loaded = network()
    with watch.stage("extract"):
        on_progress = partial(_tell_tokens, checkpoint.label)
        summaries = extract(loaded, question.items, question.sample, batch_size, on_progress)
        return [(summary, activations.write_summary(store, summary)) for summary in summaries]


def _left_behind(store: Store, checkpoint: Checkpoint, question: Question) -> list[tuple[Summary, StoredSummary]]:
    """The whole set of summaries that a killed run wrote and never recorded; nothing where one is lacking."""
    dataset = question.items.dataset
    found = activations.stored_sites(store, checkpoint, dataset.name, dataset.digest)
    read = [(activations.read_summary(store, stored.site), stored) for stored in found]
    if not read or len(read) != sites_of(read[0][0].facts):
        return []
    return sorted(read, key=lambda pair: pair[0].site.layer)


def sites_of(facts: NetworkFacts) -> int:
    """How many sites a network has: the embedding, its blocks, and the final norm where there is one."""
    if facts.sites is not None:
        return facts.sites
    return facts.layers + 1 + (facts.normed_entry is not None)


def _measured(
    store: Store, sites: Sequence[Site], fresh: Mapping[str, Summary], wishes: Mapping[str, Sequence[Wish]]
) -> Iterator[LayerResult]:
    """The wished results of every site, by depth; several sites at a time, and no more summaries in memory than that
    needs."""

    def summary_of(site: Site) -> Summary:
        return fresh.get(site.site_id) or activations.read_summary(store, site)

    def results_of(site: Site) -> list[LayerResult]:
        asked, before = wishes[site.site_id], at_depth.get(site.layer - 1)
        compares = before is not None and any(wish.measure.needs_previous for wish in asked)
        return layer_results(summary_of(site), summary_of(before) if before and compares else None, asked)

    label, at_depth = sites[0].checkpoint.label, {site.layer: site for site in sites}
    todo = [site for site in sorted(sites, key=lambda site: site.layer) if site.site_id in wishes]
    for done, results in enumerate(side_by_side(results_of, todo)):
        yield from results
        tell(Progress("measure", label, done + 1, len(todo), "layers"))


def _tell_tokens(label: str, done: int, total: int | None) -> None:
    tell(Progress("extract", label, done, total))
