"""Prefect's runner with this service's manners: no pile of missed runs, one run of a deployment, and patience."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Self
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.runner import Runner
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, PREFECT_RUNNER_POLL_FREQUENCY, temporary_settings
from prefect.states import Cancelled, Crashed

POLL = 5.0  # seconds between two questions after due runs, at most
GRACE = 10.0  # seconds for a run to end by itself when the server cannot be told of it
IN_HASTE = {PREFECT_CLIENT_MAX_RETRIES: 1}  # an end does not wait a minute for each answer
SKIPPED = "the service missed this time: a newer run of the same schedule is due and takes its place"
ABANDONED = "the service ended while this ran: what it measured is kept, and running it again measures the rest"


class ServingRunner(Runner):
    """Starts the runs that are due: the oldest of each deployment, when no other of that deployment runs here.

    Of a schedule's runs that are due together, because nobody was there to run them or an earlier one took its time, only
    the newest is kept. A server that is away is waited for, however long; Prefect's own loops give up within minutes.
    """

    def __init__(self, on_stop: Callable[[], object], say: Callable[[str], None], limit: int) -> None:
        poll = min(POLL, PREFECT_RUNNER_POLL_FREQUENCY.value())
        super().__init__(name="isoscope", limit=limit, query_seconds=poll, prefetch_seconds=0)
        self._on_stop = on_stop
        self._say = say
        self._away = False
        self._deployment_of: dict[UUID, UUID | None] = {}

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Leave the stopping to whoever serves: Prefect's own way would leave through ``sys.exit`` from the handler."""
        self._on_stop()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        # Prefect has no public place to choose among due runs or to be patient; tests/flows/test_serving*.py guard these
        poller, observer = self._scheduled_run_poller, self._cancelling_observer
        self._due = poller._get_scheduled_flow_runs
        poller._get_scheduled_flow_runs = self._startable  # type: ignore[method-assign]
        if observer is not None:
            self._cancel_the_cancelled = observer._check_for_cancelled_flow_runs
            observer._check_for_cancelled_flow_runs = self._obey_patiently  # type: ignore[method-assign]
        return self

    async def _startable(self) -> list[FlowRun]:
        """The runs to start now; none while the server is away."""
        running = set(self._scheduled_run_poller._submitting_flow_run_ids)
        try:
            due = await self._due()
            while missed := missed_runs(run for run in due if run.id not in running):
                await skip(self._client, missed)
                due = await self._due()  # the server tells of the oldest 200 alone
        except httpx.HTTPError as error:
            self._note(away=True, why=f" ({error or type(error).__name__}): waiting for it")
            return []
        self._note(away=False)
        self._deployment_of = {run.id: run.deployment_id for run in due} | {
            run_id: self._deployment_of.get(run_id) for run_id in running
        }
        busy = {self._deployment_of[run_id] for run_id in running}
        return first_of_each([run for run in due if run.deployment_id not in busy])

    async def _obey_patiently(self) -> None:
        """End the runs that were cancelled in the UI; asked in turns once the link by which the server tells has broken."""
        with suppress(httpx.HTTPError):
            await self._cancel_the_cancelled()

    def _note(self, away: bool, why: str = "") -> None:
        if away != self._away:
            self._say(f"the Prefect server {'does not answer' if away else 'answers again'}{why}")
        self._away = away

    async def astop(self) -> None:
        """Tell the runs to stop and see that they do, also where the server that should be told of it is away."""
        with temporary_settings(IN_HASTE):
            await super().astop()
        for run_id in self._process_manager.flow_run_ids():
            await self._process_manager.kill(run_id, grace_seconds=GRACE)

    async def _pause_schedules(self) -> None:
        """Pause the schedules, so that nothing is planned while nobody serves."""
        try:
            with temporary_settings(IN_HASTE):
                await super()._pause_schedules()
        except httpx.HTTPError as error:
            self._say(f"the schedules could not be paused ({error}): what they miss is skipped at the next start")


def missed_runs(due: Iterable[FlowRun]) -> list[FlowRun]:
    """All but the newest of each schedule's due runs. A run that somebody asked for, or that has begun before, is none."""
    newest: dict[tuple[UUID | None, str | None], FlowRun] = {}
    missed = []
    for run in sorted(due, key=_scheduled_at):
        if not run.auto_scheduled or run.run_count:
            continue
        # a schedule's id changes at each start of the service; its name, which Prefect displays, does not
        schedule = (run.deployment_id, run.created_by.display_value if run.created_by else None)
        if schedule in newest:
            missed.append(newest[schedule])
        newest[schedule] = run
    return missed


def first_of_each(due: Sequence[FlowRun]) -> list[FlowRun]:
    """The run of each deployment that has been due longest."""
    first: dict[UUID | None, FlowRun] = {}
    for run in sorted(due, key=_scheduled_at):
        first.setdefault(run.deployment_id, run)
    return list(first.values())


def _scheduled_at(run: FlowRun) -> float:
    return run.next_scheduled_start_time.timestamp() if run.next_scheduled_start_time else 0.0


async def skip(client: PrefectClient, missed: Iterable[FlowRun]) -> None:
    """End missed runs before they begin, in a state that says why, under the name that only a begun run would get."""
    for run in missed:
        named = run.created_by.display_value if run.created_by else run.name
        await client.update_flow_run(run.id, name=f"{named} of {run.expected_start_time:%Y-%m-%d %H:%M:%S}")
        await client.set_flow_run_state(run.id, Cancelled(name="Skipped", message=SKIPPED))


async def end_abandoned(client: PrefectClient, deployments: Iterable[UUID], store: str) -> list[FlowRun]:
    """Call crashed what an earlier service on `store` left running when it died without a word."""
    unfinished = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    runs = await client.read_flow_runs(  # the server of 3.8 refuses the client's own None for sort and limit
        sort=FlowRunSort.START_TIME_DESC,
        limit=200,
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(deployments))),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=unfinished))),
    )
    abandoned = [run for run in runs if run.parameters.get("store") == store]
    for run in abandoned:
        await client.set_flow_run_state(run.id, Crashed(message=ABANDONED), force=True)
    return abandoned
