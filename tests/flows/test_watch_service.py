"""A watch as a deployment that is cancelled, and a watch whose Prefect server goes away for good."""

from __future__ import annotations

import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

from service_process import ServiceProcess, until
from training_process import WatchProcess

from service.storage import answers
from service.storage.consistency import check
from service.storage.database import Store
from service.storage.locking import lock_holder


def end(service: ServiceProcess) -> None:
    """See that it has ended, whatever became of the test."""
    if service.process is not None and service.process.poll() is None:
        service.end()


def test_cancelled_it_lets_go_of_the_folder_and_without_a_server_it_goes_on_measuring(
    decoder_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(decoder_folder / "step0", folder / "step0")
    service = ServiceProcess(tmp_path)
    with ExitStack() as stack:
        stack.callback(end, service)
        service.start()
        asked = {"sample": 128, "measures": ["anisotropy", "twonn"], "every": 0.2}
        run = service.begin("watch-training", folder=str(folder), **asked)
        until(lambda: list(service.store.glob("ledger/*")), f"a measured checkpoint; {service.said()}")
        (lock,) = service.store.glob("watch-*.lock")
        assert lock_holder(lock)
        service.ask(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        assert service.finished(run, 60)["state_name"] == "Cancelled"
        until(lambda: lock_holder(lock) is None, "the end of the watch")
        patience = {"PREFECT_CLIENT_MAX_RETRIES": "0"}
        watch = stack.enter_context(WatchProcess(folder, service.store, f"{service.address}/api", **patience))
        until(lambda: "watching " in watch.said(), "the second watch")
        assert service.end() == 0
        shutil.copytree(decoder_folder / "step16", folder / "step16")
        until(lambda: "tiny step16: " in watch.said(), f"a checkpoint without a server; {watch.said()}")
        assert watch.end(signal.SIGTERM) == 0, watch.said()
        assert "the Prefect server does not answer, and was not told of the end" in watch.said()
        query = "select step, count(*) from lab.runs where step is not null group by 1 order by 1"
        assert answers.as_rows(answers.ask(Store(service.store, 5), query))[1] == [(0, 1), (16, 1)]
        assert check(Store(service.store, 5)) == []
