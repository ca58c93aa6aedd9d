"""What a run tells while it goes on: a bar in the Prefect UI that moves, and what it is waiting for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import cast
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from service.experiments.progress import Progress, also_listening, tell_waiting

PERIOD = 1.0  # seconds between two looks at how far the run has come
LAST_WORD = 5.0  # seconds that the end of a run waits for a slow server


class Gauge:
    """How far a run of several checkpoints has come, from what its steps tell: a percentage and a line."""

    def __init__(self) -> None:
        self.percent = 0.0
        self.line = "starting"
        self._done = 0
        self._of = 1

    def hear(self, step: Progress) -> None:
        """Take in one step. Within a checkpoint reading its texts is the first half, measuring its layers the second."""
        if step.stage == "waiting":
            self.line = f"waiting {step.subject}"
            return
        if step.stage == "checkpoints":
            self._done, self._of = (step.done, step.total) if step.total else (1, 1)
            part = 0.0
            self.line = f"{step.done} of {step.total} {step.unit} measured" if step.total else "nothing was missing"
        else:
            part = min(step.done / step.total, 1.0) / 2 if step.total else 0.0
            part += 0.5 if step.stage == "measure" else 0.0
            self.line = (
                f"{step.stage} {step.subject}: {step.done} of {step.total or 'an unknown number of'} {step.unit}"
            )
        self.percent = min(100.0 * (self._done + part) / self._of, 100.0)


def say(waiting_for: str) -> None:
    """Tell both the run's log and whoever watches it what the run is waiting for."""
    get_run_logger().warning(waiting_for)
    tell_waiting(waiting_for)


@contextmanager
def progress_shown(key: str) -> Iterator[None]:
    """Keep a progress artifact of this run level with what is told inside the block.

    It is sent from a thread of its own: a server that is slow or away holds up the bar, never the run.
    """
    gauge, over = Gauge(), threading.Event()
    sender = threading.Thread(target=copy_context().run, args=(_keep_level, key, gauge, over), daemon=True)
    sender.start()
    try:
        with also_listening(gauge.hear):
            yield
    finally:
        over.set()
        sender.join(LAST_WORD)


def _keep_level(key: str, gauge: Gauge, over: threading.Event) -> None:
    """Send the gauge's state whenever it has changed, and once more when it is all over."""
    artifact: UUID | None = None
    shown: tuple[float, str] | None = None
    complained = False
    last = False
    while not last:
        last = over.is_set()
        now = (gauge.percent, gauge.line)
        try:
            if artifact is None:
                artifact = cast(UUID, create_progress_artifact(now[0], key=key, description=now[1]))
            elif now != shown:
                update_progress_artifact(artifact, now[0], description=now[1])
            shown = now
        except Exception as error:
            if not complained:
                get_run_logger().warning("the progress bar cannot be shown: %s", error)
            complained = True
        over.wait(PERIOD)
