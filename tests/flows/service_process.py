"""``isoscope serve --with-server`` as a process, and its Prefect server as the UI sees it: through the API."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from command_process import PATIENCE, ROOT, CommandProcess

from service.storage.locking import Patience, exclusive

UNFINISHED = ("SCHEDULED", "PENDING", "RUNNING", "CANCELLING")


def until(condition: Callable[[], Any], what: str, said: Callable[[], str] = str) -> Any:
    """The first answer of `condition` that is true; fails telling for `what` it waited, and what was `said` meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}; {said()}"
        time.sleep(0.05)
    return answer


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def children(pid: int) -> dict[int, str]:
    """The child processes of a process, with their command lines."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    return {int(row[0]): row[2] for row in rows if int(row[1]) == pid and len(row) == 3}


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class ServiceProcess:
    """A service on a store of its own, in a folder that also holds the Prefect server's database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: CommandProcess | None = None

    def start(self, schedules: str = "") -> None:
        """Start it and wait until it serves."""
        (self.folder / "isoscope.toml").write_text(schedules)
        own = {"PREFECT_HOME": str(self.folder / "prefect"), "ISOSCOPE_STORE": str(self.store), "PYTHONPATH": str(ROOT)}
        arguments = ["serve", "--with-server", "--limit", "2", "--port", str(self.port)]
        self.process = CommandProcess(
            *arguments, merged=True, folder=self.folder, unset="PREFECT_", PREFECT_RUNNER_POLL_FREQUENCY="1", **own
        )
        until(lambda: "watched at" in self.said() or self.process.poll() is not None, "the service to begin", self.said)
        assert self.process.poll() is None, self.said()

    def said(self) -> str:
        """Everything it has printed."""
        assert self.process is not None
        return self.process.stdout

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit status."""
        assert self.process is not None
        with self.process as ending:
            ending.send_signal(number)
            return ending.wait()

    def child(self, command: str) -> int:
        """The process that it started with `command`."""
        assert self.process is not None
        found = [pid for pid, line in children(self.process.pid).items() if command in line]
        assert len(found) == 1, children(self.process.pid)
        return found[0]

    def ask(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """POST `body` to the API, or GET where there is none."""
        url = f"{self.address}/api/{path}"

        def answer() -> httpx.Response | None:
            """None while the server's SQLite is busy, which Prefect's own clients wait for too."""
            got = httpx.get(url, timeout=30) if body is None else httpx.post(url, json=body, timeout=30)
            return None if got.status_code == 503 else got

        return until(answer, f"an answer of {path}")

    def deployment(self, flow: str = "measure-layers") -> dict[str, Any]:
        """The deployment of a flow."""
        return self.ask(f"deployments/name/{flow}/isoscope").json()

    def begin(self, flow: str = "measure-layers", **parameters: Any) -> str:
        """Start a run as the UI's form does; its id."""
        answer = self.ask(f"deployments/{self.deployment(flow)['id']}/create_flow_run", {"parameters": parameters})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """A run as it is now."""
        return self.ask(f"flow_runs/{run_id}").json()

    def finished(self, run_id: str) -> dict[str, Any]:
        """A run once it has ended."""
        until(lambda: self.run(run_id)["state_type"] not in UNFINISHED, "the end of a run", self.said)
        return self.run(run_id)

    def artifacts(self, run_id: str) -> list[dict[str, Any]]:
        """What a run has left."""
        return self.ask("artifacts/filter", {"flow_runs": {"id": {"any_": [run_id]}}}).json()

    @contextmanager
    def held_after(self, rows: int) -> Iterator[None]:
        """Hold the store, as another writer would, from when its ledger has as many entries: a run stays where it is."""
        until(lambda: len(list(self.store.glob("ledger/*"))) >= rows, f"{rows} entries of the ledger", self.said)
        with exclusive(self.store / "isoscope.lock", Patience(30)):
            yield
