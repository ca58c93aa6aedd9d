"""``isoscope serve``: every flow as a deployment, run when its schedule or a person in the Prefect UI says so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

from flows.deployments import deployments
from flows.prefect_server import running_server
from flows.serving_runner import ServingRunner, end_abandoned
from service.errors import BadInput, IsoscopeError, StoreBusy
from service.schedules import Schedule
from service.settings import Settings
from service.storage.database import Store, open_store, publish
from service.storage.locking import Patience, exclusive, lock_holder

Say = Callable[[str], None]
LAST_WORDS = 15.0  # seconds for the runner to tell the server of its end
LAST_LOOK = 5.0  # seconds to wait at the end for a store that somebody writes to
UNCONFIGURED = (
    "no Prefect server is configured: `isoscope serve --with-server` starts one here, or start one with "
    "`prefect server start` and set PREFECT_API_URL=http://127.0.0.1:4200/api"
)


@dataclass(frozen=True)
class Service:
    """What to serve: which store under which name, how many runs at once in all, and the port of a server to be started,
    None to use the configured one."""

    settings: Settings
    schedules: Sequence[Schedule]
    name: str = "isoscope"
    limit: int = 1
    port: int | None = None

    def deployments(self) -> list[RunnerDeployment]:
        """The deployments, checked without asking any server. Raises UnknownName and BadInput."""
        if not self.name or "/" in self.name or "%" in self.name:
            raise BadInput(f"--name needs a text without / and %; got {self.name!r}")
        return deployments(self.settings, self.name, self.schedules)

    def listing(self) -> list[dict[str, Any]]:
        """Each deployment with each of its schedules, for people. Raises UnknownName and BadInput."""
        rows: list[dict[str, Any]] = []
        for deployment in self.deployments():
            full = f"{deployment.flow_name}/{deployment.name}"
            own = [schedule for schedule in self.schedules if schedule.flow == deployment.flow_name]
            rows += [
                {"deployment": full, "schedule": one.name, "when": one.when, "parameters": dict(one.parameters)}
                for one in own
            ] or [{"deployment": full, "schedule": None, "when": "when asked", "parameters": {}}]
        return rows


def serve(service: Service, say: Say) -> None:
    """Serve until SIGTERM or SIGINT. What runs then is told to stop; what it has recorded stays, and readers see it.

    Raises BadInput, UnknownName, StoreBusy and the store's other errors, before anything is registered.
    """
    service.deployments()
    if service.port is None and not PREFECT_API_URL.value():
        raise BadInput(UNCONFIGURED)
    store = open_store(service.settings.store, service.settings.lock_wait)
    with _sole_service(store):
        asyncio.run(_serve(service, say))
        with suppress(StoreBusy):  # whoever writes to it for longer publishes when that is done
            publish(Store(service.settings.store, LAST_LOOK))  # a run that was stopped has not


@contextmanager
def _sole_service(store: Store) -> Iterator[None]:
    """One service on a store: a lock beside the database, because Prefect's limits are counted per server, not per store."""
    lock = store.root / "serve.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(lock, Patience(0)))
        except StoreBusy as error:
            raise StoreBusy(f"process {lock_holder(lock)} serves the store {store.root} already") from error
        yield


async def _serve(service: Service, say: Say) -> None:
    loop, begun, stopping = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(_serve_on_server(service, begun, stopping, say))
    await _first_of(serving, stopping)
    if stopping.is_set() and not begun.is_set():  # nothing is served yet that would have to be ended in good order
        serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    say("stopped")


async def _first_of(task: asyncio.Task[None], event: asyncio.Event) -> None:
    """Wait for whichever comes first."""
    happened = asyncio.create_task(event.wait())
    await asyncio.wait({task, happened}, return_when=asyncio.FIRST_COMPLETED)
    happened.cancel()


@asynccontextmanager
async def _server(service: Service, say: Say) -> AsyncIterator[None]:
    """The configured Prefect server, or one of our own for the block; it answers. Raises IsoscopeError."""
    if service.port is None:
        await _refuse_unreachable()
        yield
        return
    say("starting a Prefect server, which takes some ten seconds")
    async with running_server(service.port, say) as url:
        with temporary_settings({PREFECT_API_URL: url}):
            yield


async def _refuse_unreachable() -> None:
    async with get_client() as client:
        problem = await client.api_healthcheck()
    if problem is not None:
        url, why = PREFECT_API_URL.value(), " ".join(str(problem).split()) or type(problem).__name__
        raise IsoscopeError(f"the Prefect server at {url} does not answer ({why}): start it, or see PREFECT_API_URL")


async def _serve_on_server(service: Service, begun: asyncio.Event, stopping: asyncio.Event, say: Say) -> None:
    loop = asyncio.get_running_loop()
    async with _server(service, say):
        runner = ServingRunner(lambda: loop.call_soon_threadsafe(stopping.set), say, service.limit)
        await _register(runner, service, say)
        begun.set()
        _introduce(service, say)
        await _run_until(runner, stopping)
        if not stopping.is_set():
            raise IsoscopeError("the service ended unasked: --debug shows why")


async def _register(runner: ServingRunner, service: Service, say: Say) -> None:
    """Tell the server of the deployments, and clear up after a service that died. Raises IsoscopeError."""
    try:
        known: list[UUID] = [await runner.aadd_deployment(one) for one in service.deployments()]
        async with get_client() as client:
            await _clear_up(client, known, service, say)
    except (httpx.HTTPError, PrefectException) as error:
        said = " ".join(str(error).split())[:300]
        raise IsoscopeError(f"the Prefect server refused the deployments: {said}") from error


async def _clear_up(client: PrefectClient, known: Sequence[UUID], service: Service, say: Say) -> None:
    for run in await end_abandoned(client, known, service.settings.store_name):
        say(f"run {run.name!r} was left unfinished by a service that died: run it again to measure the rest")


def _introduce(service: Service, say: Say) -> None:
    say(f"serving the store {service.settings.store_name}")
    for row in service.listing():
        named = f", schedule {row['schedule']}" if row["schedule"] else ""
        say(f"  {row['deployment']}{named}: {row['when']}")
    say(f"runs are started and watched at {PREFECT_UI_URL.value()}; Ctrl-C or SIGTERM stops the service")


async def _run_until(runner: ServingRunner, stopping: asyncio.Event) -> None:
    """Run until it is time to stop, or the runner ends by itself."""
    running = asyncio.create_task(runner.start())
    await _first_of(running, stopping)
    while not runner.started and not running.done():  # it cannot be stopped before it has started
        await asyncio.sleep(0.05)
    if not running.done():
        await runner.astop()
        await asyncio.wait({running}, timeout=LAST_WORDS)
    if not running.done():  # it still tries to tell a server that is away
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running
