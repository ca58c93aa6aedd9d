"""The turns of a watch: look, measure what is ready, import the losses, tell what is news, wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prefect import get_run_logger

from flows import events
from flows.artifacts import leave_results
from flows.failures import interruption, is_absence
from flows.measure_layers import measure_one
from flows.networks import Prefetcher, prefetching
from flows.progress_artifact import say
from service.errors import BadInput, IsoscopeError, StoreBusy, StoreNotWritable, StoreUnreachable
from service.experiments.layer_question import Question, missing
from service.experiments.measure_layers import Outcome
from service.experiments.progress import Progress, tell
from service.experiments.training_news import Kind, News, announce
from service.experiments.watch_training import Checkpoints, LossCurve, untold
from service.networks.checkpoints import CheckpointSource, Network
from service.storage.database import Store, is_published, open_store, publish
from service.storage.watches import Told

R = TypeVar("R")


@dataclass(frozen=True)
class Pace:
    """Seconds between two looks, and when to end: after so many `until_idle`, or when all was looked at `once`."""

    every: float
    until_idle: float | None = None
    once: bool = False


@dataclass(frozen=True)
class Watched:
    """What a watch has done: how many checkpoints it measured, metric rows it recorded and steps of losses it imported."""

    checkpoints: int
    rows: int
    steps: int


@dataclass
class Watch:
    """One training, watched until it is time to stop."""

    checkpoints: Checkpoints
    losses: LossCurve
    question: Question
    store: Store
    load: Callable[[CheckpointSource], Network]
    batch_size: int | None
    pace: Pace
    run_id: str
    outcomes: list[Outcome] = field(default_factory=list)
    steps: int = 0
    failures: dict[Path, Exception] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)
    _told_of: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self.training = self.checkpoints.training
        self.dataset = self.question.items.dataset.name
        self.told = Told(self.store, self.training.model)

    def run(self, stopping: threading.Event) -> Watched:
        """Watch until `stopping` is set or the pace says so. Raises what kept checkpoints from being measured, at the
        end."""
        folder, model = self.training.folder, self.training.model
        self._say("watching", f"watching {folder} as {model} on {self.dataset}", folder=str(folder), model=model)
        active, turns = time.monotonic(), 0
        while not stopping.is_set():
            turns += 1
            if self._turn(stopping):
                active = time.monotonic()
            idle = time.monotonic() - active
            if (self.pace.once and turns > 1) or (self.pace.until_idle is not None and idle >= self.pace.until_idle):
                break
            stopping.wait(self.pace.every)
        self._last_words()
        if self.failures and not stopping.is_set():
            self._raise_together()
        return Watched(len(self.outcomes), sum(outcome.rows for outcome in self.outcomes), self.steps)

    def _turn(self, stopping: threading.Event) -> bool:
        """One look at everything; whether anything had changed."""
        ready = self._attempt(str(self.training.folder), self.checkpoints.look) or []
        self._measure(ready, stopping)
        self._attempt("losses", self._import)
        self._attempt("store", self._tell_news)
        return bool(ready) or self.checkpoints.changed or self.losses.changed

    def _last_words(self) -> None:
        self._attempt("losses", lambda: self._import(at_once=True))
        self._attempt("store", self._tell_news)
        self._attempt(str(self.training.folder), self.checkpoints.look)
        for folder, lack in self.checkpoints.unfinished():
            self._say("left out", f"{folder.name} is not whole: {lack}", folder=str(folder))
        rows = sum(outcome.rows for outcome in self.outcomes)
        said = f"stopped: {len(self.outcomes)} checkpoints measured, {rows:,} rows; {self.steps:,} steps of losses imported"
        self._say("stopped", said, checkpoints=len(self.outcomes), rows=rows, steps=self.steps)

    def _measure(self, ready: list[Path], stopping: threading.Event) -> None:
        todo = [(folder, source) for folder in ready if (source := self._try(folder, partial(self._todo, folder)))]
        if not todo:
            return
        before = len(self.outcomes)
        with prefetching([source for _, source in todo], self._load_unchanged) as networks:
            for done, (folder, source) in enumerate(todo):
                if stopping.is_set():
                    break
                tell(Progress("checkpoints", source.checkpoint.label, done, len(todo), "checkpoints"))
                self._try(folder, partial(self._measure_folder, folder, source, networks))
        tell(Progress("checkpoints", "", len(todo), len(todo), "checkpoints"))
        if len(self.outcomes) > before:
            leave_results(self.store, self.training.model, self.dataset)

    def _try(self, folder: Path, step: Callable[[], R]) -> R | None:
        """A step on a checkpoint's folder. What goes wrong there is said once and ends nothing; it is tried again when the
        folder changes, or at the next look where the store was at fault."""
        try:
            result = step()
        except Exception as error:
            if interrupted := interruption(error):
                raise interrupted from None
            if not folder.is_dir():
                self.failures.pop(folder, None)
                self._say("left out", f"{folder.name} was deleted before it was measured", folder=str(folder))
                return None
            if not isinstance(error, StoreBusy | StoreNotWritable | StoreUnreachable):
                self.checkpoints.settle(folder)
            self.failures[folder] = error
            self._complain(folder.name, error)
            return None
        self.failures.pop(folder, None)
        self._said.pop(folder.name, None)
        return result

    def _todo(self, folder: Path) -> CheckpointSource | None:
        """The checkpoint in a folder, None where the store has all of it."""
        source = self.checkpoints.source(folder)
        if missing(self.store, [source.checkpoint], self.question, say)[source.checkpoint]:
            return source
        self.checkpoints.settle(folder)
        return None

    def _measure_folder(self, folder: Path, source: CheckpointSource, networks: Prefetcher) -> None:
        outcome = self._measured(source, self.question, self.store, networks, self.batch_size, 0, self.run_id)
        self.checkpoints.settle(folder)
        if not outcome.rows:
            return
        self.outcomes.append(outcome)
        events.checkpoint_measured(self.store, outcome, self.dataset)
        said = f"{source.checkpoint.label}: {outcome.rows:,} rows at {outcome.sites} layers in {outcome.seconds:.1f} s"
        facts = {"model": source.checkpoint.model, "step": source.checkpoint.step, "dataset": self.dataset}
        self._say("measured", said, **facts, rows=outcome.rows, layers=outcome.sites, seconds=outcome.seconds)

    def _measured(self, *asked: Any) -> Outcome:
        """What `measure_one` makes of it; not as Prefect's task where Prefect's server is away, for the checkpoint may be
        deleted before that is back."""
        try:
            return measure_one(*asked)
        except Exception as error:
            if not is_absence(error):
                raise
            get_run_logger().warning("the Prefect server does not answer: measuring without it")
            return measure_one.fn(*asked)

    def _load_unchanged(self, source: CheckpointSource) -> Network:
        return self.checkpoints.refuse_changed(self.load(source), Path(source.location))

    def _import(self, at_once: bool = False) -> None:
        path = self.losses.look(at_once)
        if path is None:
            return
        try:
            steps = self.losses.take_in(self.store, say)
        except BadInput:
            if self.losses.changed and not at_once:  # it is being written: the next look may find it whole
                return
            self.losses.settle()
            raise
        self.losses.settle()
        self.steps += steps
        if steps:
            source = path.name if path.name != "trainer_state.json" else f"{path.parent.name}/{path.name}"
            self._say("imported", f"{steps:,} steps of losses from {source}", steps=steps, source=str(path))

    def _tell_news(self) -> None:
        """Add what monitors left in the ledger, publish, and tell of spikes and warnings that nobody was told of."""
        open_store(self.store.place, self.store.lock_wait, say)
        if not is_published(self.store):
            publish(self.store, say)
        stat = self.store.published.stat()
        if self._told_of == (stat.st_size, stat.st_mtime_ns):
            return
        for kind, row in untold(self.store, self.training.model, self.told):
            self._tell_spike(row) if kind == "spike" else self._tell_warning(row)
            self.told.remember(kind, row["step"])
        self._told_of = (stat.st_size, stat.st_mtime_ns)

    def _tell_spike(self, row: dict[str, Any]) -> None:
        events.spike_seen(self.store, row)
        height = "not a number" if row["not_finite"] else f"{row['highest_loss']:.4g}"
        expected = f"{row['expected']:.4g} ± {row['sigma']:.2g} was expected"
        self._say("spike", f"loss spike at step {row['step']}: {height}, where {expected}", **row)

    def _tell_warning(self, row: dict[str, Any]) -> None:
        events.spike_warning(self.store, row)
        excess = f"{row['excess_in_std_errors']:.1f} standard errors above its trend"
        said = f"warning at step {row['last_step']}: intrinsic dimension of layer {row['layer']} is {excess}"
        self._say("warning", said, **row)

    def _attempt(self, subject: str, step: Callable[[], R]) -> R | None:
        """A step that a fault may keep from being taken this time; said once, and tried again at the next look."""
        try:
            result = step()
        except (IsoscopeError, OSError) as error:
            if interrupted := interruption(error):
                raise interrupted from None
            self._complain(subject, error)
            return None
        self._said.pop(subject, None)
        return result

    def _complain(self, subject: str, error: Exception) -> None:
        said = " ".join(str(error).split())
        if not isinstance(error, IsoscopeError | OSError):
            said = f"unforeseen {type(error).__name__}: {said[:300]}"
        if self._said.get(subject) != said:
            self._said[subject] = said
            self._say("problem", f"{subject}: {said}", subject=subject)

    def _say(self, kind: Kind, line: str, **facts: Any) -> None:
        get_run_logger().log(logging.WARNING if kind in ("problem", "spike", "warning") else logging.INFO, line)
        announce(News(kind, line, facts))

    def _raise_together(self) -> None:
        first = next(iter(self.failures.values()))
        known = first if isinstance(first, IsoscopeError) else IsoscopeError(" ".join(str(first).split())[:300])
        raise type(known)(f"{len(self.failures)} checkpoints could not be measured, the first: {known}") from first
