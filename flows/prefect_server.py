"""A Prefect server on loopback that lives exactly as long as the process that asked for it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NoReturn

import httpx
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from service.errors import BadInput, IsoscopeError

HOST = "127.0.0.1"
PATIENCE = 120.0  # seconds for a first start, which makes the server's database
GRACE = 10.0  # seconds for its services to end before it is killed


def address(port: int) -> str:
    """The API's address."""
    return f"http://{HOST}:{port}/api"


def refuse_taken(port: int) -> None:
    """Raise BadInput where somebody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            said = f"port {port} of {HOST} is taken ({error.strerror}): name another with --port, or stop who has it"
            raise BadInput(said) from error


@asynccontextmanager
async def running_server(port: int, say: Callable[[str], None]) -> AsyncIterator[str]:
    """A server that answers at the address yielded; started again if it dies, gone when the block ends or this process
    does, however it does.

    Raises BadInput for a taken port, IsoscopeError where the server does not come up.
    """
    refuse_taken(port)
    child = _start(port)
    keeper: asyncio.Task[None] | None = None
    try:
        await _until_healthy(child, port)
        started = [child]
        keeper = asyncio.create_task(_keep(started, port, say))
        yield address(port)
    finally:
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
            child = started[-1]
        await asyncio.to_thread(_stop, child)


@contextmanager
def private_server() -> Iterator[None]:
    """A server for the block where none is configured, out of the reach of a terminal's Ctrl-C: Prefect's own private one
    would die of it at once, and the run that is to end in good order would wait a minute for it.

    Raises IsoscopeError where it does not come up.
    """
    if PREFECT_API_URL.value():
        yield
        return
    with socket.create_server((HOST, 0)) as probe:
        port = int(probe.getsockname()[1])
    child = _start(port)
    try:
        asyncio.run(_until_healthy(child, port))
        with temporary_settings({PREFECT_API_URL: address(port)}):
            yield
            EventsWorker.drain_all(timeout=GRACE)
            APILogWorker.drain_all(timeout=GRACE)
    finally:
        _stop(child)


def _start(port: int) -> subprocess.Popen[bytes]:
    """The server in a process and session of its own, so that a terminal's Ctrl-C reaches this process alone."""
    url = address(port)
    told = {"PREFECT_API_URL": url, "PREFECT_SERVER_UI_API_URL": url}
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"}  # Prefect's default is to send usage statistics home
    return subprocess.Popen(
        [sys.executable, "-m", "flows.prefect_server", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**quiet, **os.environ, **told},
        start_new_session=True,
    )


async def _until_healthy(child: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    async with httpx.AsyncClient(trust_env=False) as client:
        while time.monotonic() < deadline:
            if child.poll() is not None:
                how = f"it ended with status {child.returncode}"
                raise IsoscopeError(f"the Prefect server did not start: {how}; `prefect server start` shows why")
            with suppress(httpx.HTTPError):
                if (await client.get(f"{address(port)}/health", timeout=2)).status_code == 200:
                    return
            await asyncio.sleep(0.2)
    raise IsoscopeError(f"the Prefect server did not answer at {address(port)} within {PATIENCE:g} s")


async def _keep(started: list[subprocess.Popen[bytes]], port: int, say: Callable[[str], None]) -> None:
    """Start the server again whenever it has died; gives up on one that does not come up."""
    while True:
        while started[-1].poll() is None:
            await asyncio.sleep(0.5)
        say(f"the Prefect server ended with status {started[-1].returncode}")
        started.append(_start(port))
        try:
            await _until_healthy(started[-1], port)
        except IsoscopeError as error:
            say(f"{error}: runs in progress go on, none can begin until `isoscope serve` is started anew")
            return
        say("it was started again")


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


def leave_untold() -> NoReturn:
    """End this process, all of whose work is done: by itself it would first try for eight seconds an event to tell a server
    that is away."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _end_with_parent() -> None:
    """Wait for the end of standard input, which only the parent's death or wish brings, then end this process."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def main(port: str) -> None:
    """Be the server."""
    from prefect.cli import app

    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = ["prefect", "server", "start", "--host", HOST, "--port", port]
    app()


if __name__ == "__main__":
    main(sys.argv[1])
