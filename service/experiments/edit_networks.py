"""What does an edit break? Each edit is fitted, judged while it is applied, recorded, and undone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from service.experiments.edit_bench import Bench
from service.experiments.edit_grid import Grid, sharing_a_tuning
from service.experiments.edit_judging import General
from service.experiments.edit_parts import Outcome, Part
from service.experiments.edit_search import Search, liked, searches_of
from service.experiments.edit_variants import as_released
from service.experiments.progress import Progress, tell, tell_waiting
from service.experiments.runs import ended_run, now
from service.networks.checkpoints import CheckpointSource, load
from service.networks.edit_fitting import interpolated
from service.networks.edits import Delta, Fitting, applied, delta_bytes
from service.networks.loading import Network
from service.settings import Settings
from service.storage import edit_rows
from service.storage.database import OnWait, Store, open_store
from service.storage.edit_coverage import judged_edits, tried_scores
from service.storage.edit_deltas import StoredDelta, write_delta
from service.storage.edit_rows import EditRecord, Judged, Moved, record_edit, record_trace, record_untouched
from service.subjects import Edit, EditMethod

EXPERIMENT = "edit_networks"
Chosen = Mapping[EditMethod, Sequence[Edit]]


@dataclass(frozen=True, eq=False)
class Editor:
    """How checkpoints are edited: where that is recorded, which edits are asked, and with which networks."""

    store: Store
    grid: Grid
    network: Callable[[CheckpointSource], Network]
    flow_run_id: str | None = None
    on_wait: OnWait = None
    saved: Delta | None = None  # to be judged in the place of edits that are fitted
    benches: dict[str, Bench] = field(default_factory=dict, repr=False)

    def bench(self, part: Part) -> Bench:
        """The network with the part's cases; the last one is kept. Raises NetworkMismatch, BadInput, UnknownName."""
        key = part.label
        if key not in self.benches:
            self.benches.clear()
            asked, network = part.asked, self.network(part.source)
            about = asked.task, asked.items, part.seed, asked.general, self.saved, asked.names
            self.benches[key] = Bench(network, *about)
        return self.benches[key]

    def lacks_untouched(self, source: CheckpointSource, general: General) -> bool:
        """Whether the untouched network is still to be judged. Raises StoreBusy."""
        checkpoint_id, dataset = source.checkpoint.checkpoint_id, general.items.dataset.name
        known = edit_rows.known_robustness(self.store, checkpoint_id, dataset, general.sample, self.on_wait)
        return not set(general.corruptions) <= known

    def judge_untouched(self, source: CheckpointSource, general: General) -> None:
        """Record how robust an untouched network is. Raises NetworkMismatch, BadInput, StoreBusy."""
        begun, started, network = now(), time.perf_counter(), self.network(source)
        tell(Progress("edit", f"{source.checkpoint.label}, untouched", 0, None, "corruptions"))
        judged = Judged(general.items.dataset.name, general.sample, tuple(general.of_untouched(network)))
        parameters = {"untouched": source.checkpoint.label, "images or texts": len(general.item_ids)}
        run = ended_run(
            EXPERIMENT,
            parameters,
            begun,
            source.checkpoint.checkpoint_id,
            general.sample,
            device=network.facts.device,
            flow_run_id=self.flow_run_id,
            seconds={"measure": time.perf_counter() - started},
        )
        datasets = [general.items.dataset]
        record_untouched(self.store, run, source.checkpoint, network.facts, datasets, [judged], self.on_wait)

    def edits(self, part: Part, chosen: Chosen) -> list[Edit]:
        """Every edit of a part, in the order in which they are made; `chosen` are those that a search liked best. Loads the
        network, whose layers they name. Raises UnknownName, BadInput."""
        bench, found = self.bench(part), list[Edit]()
        if self.saved is not None:
            return [self.saved.of(part.checkpoint_id, part.asked.task_id)]
        for method in self.grid.methods:
            best = chosen.get(method, ())
            asked = self.grid.liking(liked(best, None))
            for layer in asked.places(method, bench.layers(method, asked.layers, asked.where)):
                found += self._edits(part, self.grid.liking(liked(best, layer)), method, layer)
        found += as_released(found, self.grid)
        return found if self.grid.where == 1 else [edit for edit in found if bench.fits(edit)]

    def _edits(self, part: Part, grid: Grid, method: EditMethod, layer: str | None) -> list[Edit]:
        """Those of one method at one layer."""
        found = grid.edits(method, part.checkpoint_id, part.asked.task_id, layer, part.seed)
        return [self.bench(part).of_rank(edit) for edit in found]

    def lacking(self, part: Part, chosen: Chosen) -> list[Edit]:
        """Those of the edits that are not recorded with all that is to be judged. Raises StoreBusy."""
        general = part.asked.general
        about = part.checkpoint_id, part.asked.task_id, general.items.dataset.name, general.sample
        known, wanted = judged_edits(self.store, *about, self.on_wait), set(general.corruptions)
        return [one for one in self.edits(part, chosen) if not wanted <= known.get(one.edit_id, set())]

    def searches(self, part: Part) -> list[Search]:
        """For each method the edits that are tried to choose its settings; none without a budget. Raises BadInput."""
        if not self.grid.budget:
            return []
        bench, at = self.bench(part), partial(self._edits, part, self.grid)
        return [
            search
            for method in self.grid.methods
            for search in searches_of(self.grid, bench, method, partial(at, method))
        ]

    def untried(self, search: Search) -> list[Edit]:
        """Those of its edits that are not recorded. Raises StoreBusy."""
        known = tried_scores(self.store, search.search_id, self.on_wait)
        return [edit for edit in search.tried if edit.edit_id not in known]

    def best(self, search: Search) -> Edit:
        """What a search whose edits are all recorded has found best. Raises StoreBusy."""
        return search.best(tried_scores(self.store, search.search_id, self.on_wait))

    def chosen(self, part: Part) -> Chosen:
        """For each method what its searches found best; tries what is not recorded. Raises BadInput, StoreBusy."""
        for search in self.searches(part):
            for done, edit in enumerate(todo := self.untried(search)):
                tell(Progress("edit", f"{part.label}: search of {search.method}", done, len(todo), "edits"))
                self._make(part, self.bench(part), [edit], search.search_id)
        return self.known(part)

    def known(self, part: Part) -> Chosen:
        """The same where everything is recorded. Raises BadInput, StoreBusy."""
        found: dict[EditMethod, list[Edit]] = {}
        for search in self.searches(part):
            found.setdefault(search.method, []).append(self.best(search))
        return found

    def edit(self, part: Part, chosen: Chosen) -> Outcome:
        """Make the edits of a part that are not recorded, judge and record them.

        Raises BadInput, UnknownName, NetworkMismatch, StoreBusy.
        """
        started, todo = time.perf_counter(), self.lacking(part, chosen)
        if todo:
            bench, done = self.bench(part), 0
            tell(Progress("edit", f"{part.label}: the untouched network", 0, len(todo), "edits"))
            for group in sharing_a_tuning(todo):
                tell(Progress("edit", part.label, done, len(todo), "edits"))
                self._make(part, bench, group, None)
                done += len(group)
        return Outcome(part.label, tuple(one.edit_id for one in todo), time.perf_counter() - started)

    def trace(self, part: Part) -> bool:
        """Record the causal trace of a part's prompts where ROME is asked for without a layer; whether there was one to record.
        Raises BadInput, StoreBusy."""
        if "rome" not in self.grid.methods or self.grid.layers is not None:
            return False
        if edit_rows.is_traced(self.store, part.checkpoint_id, part.asked.task_id, self.on_wait):
            return False
        begun, bench = now(), self.bench(part)
        effects = bench.trace
        run = self._run(part, {"trace": part.asked.task.name}, begun, bench, {})
        network, datasets = bench.network, [part.asked.items.dataset]
        about = network.checkpoint, network.facts, datasets, self._facts(part, bench), effects
        record_trace(self.store, run, *about, self.on_wait)
        return True

    def _make(self, part: Part, bench: Bench, group: Sequence[Edit], search: str | None) -> None:
        """Fit edits that share a tuning, then judge and record one after another."""
        fitting: Fitting | None = None
        bench.prepare(whole=search is None)
        for edit in group:
            begun, started = now(), time.perf_counter()
            if fitting is None:
                fitting = bench.fit(edit, partial(self._told, part, edit))
            else:
                fitting = interpolated(fitting, bench.network, float(edit.alpha or 0.0))
            self._judge(part, bench, fitting, search, begun, started)

    def _judge(
        self, part: Part, bench: Bench, fitting: Fitting, search: str | None, begun: Any, started: float
    ) -> None:
        edit, general = fitting.delta.edit, bench.general
        judged, moved, stored = list[Judged](), list[Moved](), None
        seconds = time.perf_counter() - started
        with applied(bench.network, fitting.delta, checked=True):
            if search is not None:
                scores = list(bench.scores.validation())
            else:
                scores = list(bench.scores.scores())
                found = tuple(general.of_edited(bench.network))
                judged.append(Judged(general.items.dataset.name, general.sample, found))
                moved.append(Moved(bench.items.dataset.name, tuple(bench.drift.changes())))
        if search is None:
            stored = self._stored(fitting)
        run = self._run(part, vars(edit), begun, bench, {"measure": time.perf_counter() - started})
        record = EditRecord(
            run=run,
            checkpoint=bench.network.checkpoint,
            facts=bench.network.facts,
            datasets=(bench.items.dataset, general.items.dataset),
            task=self._facts(part, bench),
            edit=edit,
            fit=fitting.fit,
            delta=stored,
            scores=tuple(scores),
            judged=tuple(judged),
            moved=tuple(moved),
            search=search,
            seconds=seconds,
        )
        record_edit(self.store, record, self.on_wait)

    def _stored(self, fitting: Fitting) -> StoredDelta:
        return write_delta(self.store, fitting.delta.edit, delta_bytes(fitting.delta))

    def _facts(self, part: Part, bench: Bench) -> edit_rows.Task:
        task, exemplars = part.asked.task, len(bench.sets.exemplars)
        return edit_rows.Task(part.asked.task_id, task.name, task.modality, bench.items.dataset.name, exemplars)

    def _told(self, part: Part, edit: Edit, done: int, total: int) -> None:
        tell(Progress("edit", f"{part.label}: {edit.method}", done, total, "steps"))

    def _run(self, part: Part, parameters: Any, begun: Any, bench: Bench, seconds: dict[str, float]) -> Any:
        task = part.asked.task
        return ended_run(
            EXPERIMENT,
            {"task": task.name, "task_id": part.asked.task_id, "dataset": task.dataset, **parameters},
            begun,
            bench.network.checkpoint.checkpoint_id,
            device=bench.network.facts.device,
            flow_run_id=self.flow_run_id,
            seed=part.seed,
            seconds=seconds,
        )


def editor_of(
    settings: Settings, grid: Grid, device: str = "auto", trust_remote_code: bool = False, saved: Delta | None = None
) -> Editor:
    """An editor on the configured store, which is opened; for plans. Raises the store's errors."""
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    loading = partial(load, device=device, trust_remote_code=trust_remote_code)
    return Editor(store, grid, lru_cache(maxsize=1)(loading), on_wait=tell_waiting, saved=saved)
