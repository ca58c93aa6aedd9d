"""``isoscope`` as a process of its own that need not import anything: it is forked from one that has, and does no more.

What it is told, prints and dies of is its own: arguments, environment, folder, both streams, signals, exit status.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 180  # seconds for what a busy machine does in a few
IMPORTED = [
    "service.cli",  # first: it says how threads wait, before torch is there
    "flows.measure_layers",
    "flows.separate_layers",
    "flows.watch_training",
    "sklearn.linear_model",
    "transformers.models.gpt_neox.modeling_gpt_neox",
]
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(IMPORTED)


def _run(arguments: list[str], environment: dict[str, str], folder: str, streams: tuple[str, str]) -> None:
    for place, number in zip(streams, (1, 2), strict=True):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["isoscope", *arguments]
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    from service.cli import app

    app()


class CommandProcess:
    """``isoscope`` with arguments, beside this process: waited for and signalled as a ``subprocess.Popen`` is."""

    def __init__(
        self,
        *arguments: str,
        merged: bool = False,
        folder: Path = ROOT,
        unset: str | tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        """Start it in `folder`; `merged`: what it says on its standard error stands in `stdout` too, where it was said;
        `unset`: how the names of variables begin that it is not to have of this process."""
        self._folder = tempfile.TemporaryDirectory(prefix="isoscope-command-")
        self._streams = tuple(Path(self._folder.name, "stdout" if merged else name) for name in ("stdout", "stderr"))
        self._said: tuple[str, ...] = ()
        # Prefect reads these when it is imported, and the command sets them before that
        quiet = {f"PREFECT_LOGGING_{name}": "CRITICAL" for name in ("HANDLERS_CONSOLE_LEVEL", "INTERNAL_LEVEL")}
        os.environ.update(quiet)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
        told = (list(arguments), {**inherited, **environment}, str(folder), tuple(map(str, self._streams)))
        self._process = FORKING.Process(target=_run, args=told)
        self._process.start()
        self.pid = int(self._process.pid or 0)

    @property
    def returncode(self) -> int | None:
        """The exit status once it has ended; that of a signal is negative."""
        return self._process.exitcode

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._read()[0]

    @property
    def stderr(self) -> str:
        """What it has said so far on its standard error."""
        return self._read()[1]

    def _read(self) -> tuple[str, ...]:
        return self._said or tuple(one.read_text() if one.exists() else "" for one in self._streams)

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        """The exit status when it has ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("isoscope", timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to it, if it runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> CommandProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind, whatever became of the test."""
        self.kill()
        self._process.join()
        self._said = self._read()
        self._folder.cleanup()
