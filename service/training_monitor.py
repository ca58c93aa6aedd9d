"""Geometry beside the loss: what a training's hidden states look like while it runs.

``GeometryCallback`` is for ``transformers.Trainer``, ``GeometryMonitor`` for a loop of one's own.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, SupportsFloat

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from service.errors import BadInput, IsoscopeError
from service.experiments.measure_rows import measure_rows
from service.experiments.probe_measures import IN_LOOP, probe_results
from service.experiments.runs import ended_run, now
from service.measures import find
from service.networks.loading import longest_input
from service.networks.training_probe import PROBE_LENGTH, Probe, text_probe
from service.results import ProbeResult, TrainingStep
from service.settings import Settings, store_place
from service.storage.database import open_store, publish
from service.storage.training_rows import TrainingEntry, leave_in_ledger
from service.subjects import content_id

if TYPE_CHECKING:
    from torch import Tensor

EVERY = 10
SOONEST, LATEST = 15.0, 300.0  # seconds between two entries in the ledger, a twentieth of the training's time so far
MOST_KEPT = 200_000  # rows that wait for a store that cannot be written, before the oldest are let go
logger = logging.getLogger("isoscope.monitor")


class GeometryMonitor:
    """Records a training's loss at every step, and each `every` steps the intrinsic dimension (TwoNN with its error), the
    anisotropy and the norms of the states at `layers` on a fixed probe batch `token_ids` (windows, length).

    Rows go to the ledger of the store: nobody who holds the database is waited for, and a store that cannot be written
    costs one warning and never the training. `layers` None: the middle block and the last. ::

        with GeometryMonitor(network, token_ids, "my-run") as monitor:
            for step, batch in enumerate(batches, start=1):
                ...
                monitor.step(step, loss, gradient_norm)

    Raises BadShape, BadInput and NetworkMismatch when it is made, never later.
    """

    def __init__(
        self,
        module: Any,
        token_ids: Tensor,
        name: str,
        *,
        store: Path | str | None = None,
        every: int = EVERY,
        layers: Sequence[int] | None = None,
    ) -> None:
        if every < 1:
            raise BadInput(f"every needs to be 1 step or more; got {every}")
        self.probe = Probe(module, token_ids, layers)
        self.name, self.every = name, every
        self.store = store_place(store) if store is not None else Settings().store
        self._steps: list[TrainingStep] = []
        self._results: list[ProbeResult] = []
        self._started = self._flushed = time.monotonic()
        self._written = 0
        self._begun = now()
        self._warned = False

    def step(
        self,
        step: int,
        loss: SupportsFloat,
        gradient_norm: SupportsFloat | None = None,
        update_norm: SupportsFloat | None = None,
        learning_rate: SupportsFloat | None = None,
    ) -> None:
        """Tell of one optimiser step made: `step` counts them, `loss` in nats a token, norms before clipping."""
        given = (gradient_norm, update_norm, learning_rate)
        self.log(
            TrainingStep(int(step), _number(loss), *(None if value is None else _number(value) for value in given))
        )
        if step % self.every == 0:
            self.measure(step)

    def log(self, step: TrainingStep) -> None:
        """Note a logged step, without a probe."""
        self._steps.append(step)
        self._flush_when_due()

    def measure(self, step: int) -> None:
        """Take the probe now."""
        try:
            self._results += probe_results(self.probe, step)
        except (IsoscopeError, RuntimeError) as error:
            self._warn(f"the geometry of step {step} could not be measured: {error}")
        self._flush_when_due()

    def _flush_when_due(self) -> None:
        now = time.monotonic()
        if now - self._flushed > min(max((now - self._started) / 20, SOONEST), LATEST):
            self.flush()

    def flush(self) -> None:
        """Write what was gathered to the store's ledger; where that fails it is kept for the next time."""
        self._flushed = time.monotonic()
        if not self._steps and not self._results:
            return
        try:
            leave_in_ledger(self.store, self._entry())
        except (IsoscopeError, OSError) as error:
            self._warn(f"the store cannot be written, training goes on: {error}")
            del self._steps[:-MOST_KEPT], self._results[:-MOST_KEPT]
            return
        self._steps, self._results, self._written = [], [], self._written + 1

    def close(self) -> None:
        """Write what is left, and have it published unless somebody holds the store; the next command does it then."""
        self.flush()
        try:
            publish(open_store(self.store, 0.0))
        except IsoscopeError as error:
            logger.info("the rows are in the ledger and not yet published: %s", error)

    def __enter__(self) -> GeometryMonitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _entry(self) -> TrainingEntry:
        parameters = {"every": self.every, "layers": list(self.probe.layers), "probe": self.probe.name}
        begun, device = self._begun, str(self.probe.token_ids.device)
        identity = content_id("monitor", self.name, begun.isoformat(), os.getpid(), id(self), self._written)
        run = ended_run("monitor_training", parameters, begun, device=device, run_id=identity)
        return TrainingEntry(
            run,
            self.name,
            "monitor",
            tuple(self._steps),
            self.probe.name,
            measure_rows(map(find, IN_LOOP)),
            tuple(self._results),
        )

    def _warn(self, message: str) -> None:
        logger.log(logging.DEBUG if self._warned else logging.WARNING, message)
        self._warned = True


def _number(value: Any) -> float:
    """A number, also of a tensor that still asks for its gradient."""
    return float(value.detach() if hasattr(value, "detach") else value)


class GeometryCallback(TrainerCallback):
    """`GeometryMonitor` for ``transformers.Trainer``: ``Trainer(..., callbacks=[GeometryCallback("my-run")])``.

    The loss is taken as Trainer logs it (a mean over its logging interval), with gradient norm and learning rate. The
    probe is `token_ids`, or else cut from `texts` (None: the language reference that Python carries) with the trainer's
    own tokenizer. Only the first process of a distributed training records.
    """

    def __init__(
        self,
        name: str,
        *,
        store: Path | str | None = None,
        every: int = EVERY,
        layers: Sequence[int] | None = None,
        token_ids: Tensor | None = None,
        texts: Sequence[str] | None = None,
    ) -> None:
        self.name, self.store, self.every, self.layers = name, store, every, layers
        self.token_ids, self.texts = token_ids, texts
        self.monitor: GeometryMonitor | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Find the layers and the probe. Raises what `GeometryMonitor` does, and BadInput without a tokenizer."""
        if not state.is_world_process_zero:
            return
        if self.token_ids is None and kwargs.get("processing_class") is None:
            raise BadInput("the probe needs token_ids, or a Trainer with a tokenizer (processing_class)")
        model, token_ids = kwargs["model"], self.token_ids
        if token_ids is None:
            length = min(PROBE_LENGTH, longest_input(model.config, model) or PROBE_LENGTH)
            token_ids = text_probe(kwargs["processing_class"], self.texts, length=length)
        self.monitor = GeometryMonitor(
            model, token_ids, self.name, store=self.store, every=self.every, layers=self.layers
        )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Take the probe when its step has come."""
        if self.monitor is not None and state.global_step % self.every == 0:
            self.monitor.measure(state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note the loss that Trainer logged."""
        if self.monitor is not None and logs and "loss" in logs:
            self.monitor.log(
                TrainingStep(state.global_step, logs["loss"], logs.get("grad_norm"), None, logs.get("learning_rate"))
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write what is left."""
        if self.monitor is not None:
            self.monitor.close()
