"""The service as people use it: one process, a Prefect server of its own, and runs started through the UI's API."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_process import ServiceProcess, children, is_alive, until

from flows.serving import Service, serve
from service.errors import StoreBusy
from service.settings import Settings
from service.storage import answers
from service.storage.consistency import check
from service.storage.database import Store
from service.storage.locking import lock_holder

ASKED = {"sample": 256, "name": "tiny", "measures": ["anisotropy", "twonn"]}
SCHEDULE = """
[[schedule]]
name = "weekly"
flow = "measure-layers"
cron = "0 0 * * 1"
parameters = {{ model = "{model}", name = "tiny", sample = 128, measures = ["anisotropy"] }}
"""


@pytest.fixture(scope="module")
def service(decoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service on a fresh store, with a schedule."""
    one = ServiceProcess(tmp_path_factory.mktemp("service"))
    one.start(SCHEDULE.format(model=decoder_folder))
    yield one
    one.end()


@pytest.fixture(scope="module")
def two_runs(service: ServiceProcess, decoder_folder: Path) -> list[dict[str, Any]]:
    """Two runs asked for at once, as they ended. While the first was held in the middle its bar was looked at (``seen``);
    while the second was, the Prefect server was killed."""
    first = service.begin(model=str(decoder_folder), revisions=["step0", "step1"], **ASKED)
    second = service.begin(model=str(decoder_folder), revisions=["step16", "step64"], **ASKED)
    with service.held_after(1):
        seen = until(lambda: max(percent(service, first), 0), "a bar that moves")
    ended = service.finished(first)
    with service.held_after(3):
        os.kill(service.child("flows.prefect_server"), signal.SIGKILL)
        until(lambda: "it was started again" in service.said(), "the server's return")
    return [ended | {"seen": seen}, service.finished(second)]


def steps(service: ServiceProcess) -> list[object]:
    """The steps with rows in the published snapshot."""
    query = "select distinct step from lab.anisotropy_by_layer where dataset like '%256%' order by 1"
    return [row[0] for row in answers.as_rows(answers.ask(Store(service.store, 5), query))[1]]


def percent(service: ServiceProcess, run_id: str) -> float:
    """Where the run's progress bar is; -1 before there is one."""
    bars = [one["data"] for one in service.artifacts(run_id) if one["type"] == "progress"]
    return float(bars[0]) if bars else -1.0


def test_a_run_from_the_ui_completes_with_name_tags_moving_bar_table_and_figures(
    service: ServiceProcess, two_runs: list[dict[str, Any]]
) -> None:
    run = two_runs[0]
    assert run["state_name"] == "Completed", run
    assert run["name"] == "tiny 2 revisions on python-reference"
    assert set(run["tags"]) == {"isoscope", "tiny", "python-reference[sample=256]"}
    assert 0 < run["seen"] < 100
    assert percent(service, run["id"]) == 100
    left = {(one["key"].partition("-tiny")[0], one["type"]) for one in service.artifacts(run["id"])}
    figures = {("anisotropy", "image"), ("intrinsic-dimension", "image")}
    assert left == {("progress", "progress"), ("shape", "table"), *figures}


def test_runs_of_a_deployment_follow_one_another(two_runs: list[dict[str, Any]]) -> None:
    assert two_runs[0]["end_time"] <= two_runs[1]["start_time"]


def test_a_server_that_dies_in_mid_run_comes_back_and_the_run_ends_well(
    service: ServiceProcess, two_runs: list[dict[str, Any]]
) -> None:
    assert two_runs[1]["state_name"] == "Completed", two_runs[1]
    assert steps(service) == [0, 1, 16, 64]
    assert check(Store(service.store, 5)) == []


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"model": "m", "sample": "many"}, "'many' is not valid"),
        ({"model": "m", "sampel": 256}, "'sampel' was unexpected"),
        ({"model": "m", "store": "/elsewhere"}, "'/elsewhere' is not one of"),
        ({}, "'model' is a required property"),
    ],
)
def test_the_api_refuses_nonsense(service: ServiceProcess, parameters: dict[str, Any], said: str) -> None:
    answer = service.ask(f"deployments/{service.deployment()['id']}/create_flow_run", {"parameters": parameters})
    assert answer.status_code == 409
    assert said in answer.json()["detail"]


def test_the_service_says_what_it_serves_and_where_the_ui_is(service: ServiceProcess) -> None:
    said = service.said()
    assert f"serving the store {service.store}" in said
    assert "measure-layers/isoscope, schedule weekly: cron 0 0 * * 1 (UTC)" in said
    assert f"watched at {service.address}" in said


def test_the_ui_asks_the_server_that_serves_it(service: ServiceProcess) -> None:
    assert httpx.get(f"{service.address}/ui-settings").json()["api_url"] == f"{service.address}/api"
    assert "<html" in httpx.get(service.address, follow_redirects=True).text


def test_a_second_service_on_the_store_is_refused(service: ServiceProcess) -> None:
    with pytest.raises(StoreBusy, match=rf"process {service.process.pid} serves the store .* already"):
        serve(Service(Settings(store=service.store), [], port=1), print)


def test_a_watch_that_is_cancelled_lets_go_of_its_folder(
    service: ServiceProcess, two_runs: list[dict[str, Any]], decoder_folder: Path, tmp_path: Path
) -> None:
    folder, begun = tmp_path / "watched", len(list(service.store.glob("ledger/*")))
    shutil.copytree(decoder_folder / "step0", folder / "step0")
    asked = {"sample": 128, "measures": ["anisotropy", "twonn"], "every": 0.2}
    run = service.begin("watch-training", folder=str(folder), **asked)
    until(lambda: len(list(service.store.glob("ledger/*"))) > begun, "a measured checkpoint", service.said)
    (lock,) = service.store.glob("watch-*.lock")
    assert lock_holder(lock)
    service.ask(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    assert service.finished(run)["state_name"] == "Cancelled"
    until(lambda: lock_holder(lock) is None, "the end of the watch")
    until(lambda: "prefect.engine" not in str(children(service.process.pid)), "the end of the watch's process")
    unread = "published is old"  # it may have been about to publish
    assert [one for one in check(Store(service.store, 5)) if one.kind != unread] == []


def recorded(service: ServiceProcess, query: str) -> list[tuple[Any, ...]]:
    """What the Prefect server's database says, whether the server runs or not."""
    connection = sqlite3.connect(service.folder / "prefect" / "prefect.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_killed_in_mid_run_with_times_missed_it_starts_again_runs_one_of_them_and_stops_when_told(
    service: ServiceProcess, two_runs: list[dict[str, Any]], decoder_folder: Path
) -> None:
    begun = len(list(service.store.glob("ledger/*")))
    left = service.begin(model=str(decoder_folder), name="tiny", sample=64, measures=["anisotropy"])
    with service.held_after(begun + 1):
        server, run = service.child("flows.prefect_server"), service.child("prefect.engine")
        os.kill(service.process.pid, signal.SIGSTOP)  # nobody is there while four weeks pass
        since = (datetime.now(UTC) - timedelta(days=28)).isoformat()
        times = {"start_time": since, "end_time": datetime.now(UTC).isoformat(), "min_runs": 4}
        service.ask(f"deployments/{service.deployment()['id']}/schedule", times)
        service.end(signal.SIGKILL)
        os.kill(run, signal.SIGKILL)
        until(lambda: not is_alive(server), "the end of the server")
    service.start(SCHEDULE.format(model=decoder_folder))
    state = service.run(left)["state"]
    assert (state["type"], "running it again measures the rest" in state["message"]) == ("CRASHED", True)
    begun = len(list(service.store.glob("ledger/*")))
    with service.held_after(begun + 1):
        server, run = service.child("flows.prefect_server"), service.child("prefect.engine")
        service.process.send_signal(signal.SIGTERM)
        until(lambda: not is_alive(run), "the end of the run", service.said)
    assert service.process.wait() == 0  # with the store free again it publishes what the run has recorded
    assert service.said().endswith("stopped\n")
    assert not is_alive(server)
    assert not is_alive(run)
    missed = recorded(service, "select state_name from flow_run where auto_scheduled order by expected_start_time")
    assert missed == [("Skipped",), ("Skipped",), ("Skipped",), ("Cancelled",)]
    assert recorded(service, "select distinct paused from deployment where name = 'isoscope'") == [(1,)]
    assert check(Store(service.store, 5)) == []
