"""Checkpoints measured by a real Ray cluster of two workers: into a folder, into a bucket, and when a worker dies."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from command_process import PATIENCE, CommandProcess
from s3_server import Gate, S3Server

from flows.measure_layers import measure_layers
from flows.ray_runner import Cluster, _refuse_impossible
from service.errors import BadInput, IsoscopeError, NetworkMismatch
from service.storage import answers
from service.storage.consistency import check
from service.storage.database import Store

QUICK = ("--sample", "512", "--measure", "norm_mean", "--measure", "twonn")


@pytest.fixture(scope="module")
def cluster(s3_server: S3Server) -> Iterator[str]:
    """Two workers, who may use the S3 server, and the cluster's address."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**s3_server.environment, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}.items():
            patch.setenv(name, value)
        import ray

        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        ray.init("local", num_cpus=2, namespace="prefect", **quiet)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


def rows(place: Path | str, query: str) -> list[tuple[object, ...]]:
    """What the published snapshot answers."""
    return answers.as_rows(answers.ask(Store(place, 5), query))[1]


def test_two_checkpoints_are_measured_in_two_workers_and_recorded_by_the_flow(
    prefect_server: str, cluster: str, decoder_folder: Path, tmp_path: Path
) -> None:
    asked = {"sample": 512, "store": tmp_path / "store", "measures": ["norm_mean", "twonn"], "runner": "ray"}
    outcomes = measure_layers(str(decoder_folder), ["step16", "step64"], **asked)
    assert sorted(outcome.checkpoint.step for outcome in outcomes) == [16, 64]
    workers = {outcome.worker for outcome in outcomes}
    assert len(workers) == 2
    assert not any(worker.endswith(f":{os.getpid()}") for worker in workers)
    assert rows(tmp_path / "store", "select distinct step from lab.norms_by_layer order by 1") == [(16,), (64,)]
    assert check(Store(tmp_path / "store", 5)) == []
    assert measure_layers(str(decoder_folder), ["step16", "step64"], **asked) == []


def test_a_checkpoint_that_fails_in_a_worker_is_named_and_the_others_are_recorded(
    prefect_server: str, cluster: str, decoder_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    for step in ("step0", "step16"):
        shutil.copytree(decoder_folder / step, folder / step)
    weights = folder / "step0" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(NetworkMismatch, match=r"1 of 2 checkpoints could not be measured, the first: .*step0"):
        measure_layers(str(folder), sample=512, store=tmp_path / "store", measures=["norm_mean"], runner="ray")
    assert rows(tmp_path / "store", "select distinct step from lab.norms_by_layer") == [(16,)]
    assert check(Store(tmp_path / "store", 5)) == []


def measuring_workers() -> list[psutil.Process]:
    """The processes that measure a checkpoint now."""
    every = psutil.process_iter(["cmdline"])
    return [one for one in every if (one.info["cmdline"] or [""])[0].startswith("ray::measure checkpoint")]


def test_a_worker_killed_while_it_writes_is_replaced_and_leaves_no_half_summary(
    prefect_server: str,
    cluster: str,
    s3: S3Server,
    decoder_folder: Path,
    tmp_path: Path,
) -> None:
    bucket = s3.new_bucket()
    store = f"s3://{bucket}/runs"
    with Gate(s3.endpoint, 40_000) as gate:
        through_gate = f"?endpoint_override={gate.address}&scheme=http"
        arguments = ["shape", str(decoder_folder), "--revision", "step64", *QUICK, "--runner", "ray"]
        told = {"ISOSCOPE_STORE": store + through_gate, "PREFECT_API_URL": prefect_server}
        with CommandProcess(*arguments, "--ray-address", cluster, "--json", **told) as child:
            assert gate.reached.wait(PATIENCE), child.stderr
            (worker,) = measuring_workers()
            worker.kill()
            gate.opened.set()
            assert [key for key in s3.keys(bucket) if key.endswith(".parquet")] == []
            child.wait()
    assert (child.returncode, child.stderr) == (0, "")
    (measured,) = json.loads(child.stdout)[0]["measured"]
    assert measured["network_loaded"]
    assert not measured["worker"].endswith(f":{worker.pid}")
    assert check(Store(store, 5)) == []
    assert rows(store, "select count(*) from lab.norms_by_layer where norm_mean is not null") == [(5,)]
    flow_runs = httpx.post(f"{prefect_server}/flow_runs/filter", json={"sort": "START_TIME_DESC"}, timeout=60).json()
    assert flow_runs[0]["state"]["type"] == "COMPLETED"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://127.0.0.1:9", "no Ray cluster at ray://127.0.0.1:9: .*Connection refused"),
        ("head", "--ray-address needs ray://host:10001, host:6379 or auto; got 'head'"),
    ],
)
def test_a_cluster_that_is_not_there_is_said_in_one_line(
    prefect_server: str, decoder_folder: Path, tmp_path: Path, address: str, said: str
) -> None:
    asked = {"store": tmp_path / "store", "runner": "ray", "ray_address": address}
    with pytest.raises(IsoscopeError, match=f"^{said}[^\n]*$"):
        measure_layers(str(decoder_folder / "step0"), **asked)


def test_without_the_extra_the_line_says_what_to_install(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    with pytest.raises(BadInput, match=r"pip install 'isoscope\[ray\]'"):
        measure_layers("anything", store=tmp_path / "store", runner="ray")
    assert not (tmp_path / "store").exists()


def test_what_a_cluster_cannot_give_is_refused_where_it_cannot_grow() -> None:
    with pytest.raises(BadInput, match=r"--num-gpus asks for 2 GPUs for each checkpoint, and the cluster has 0"):
        _refuse_impossible(Cluster(gpus=2), {"CPU": 4.0})
    _refuse_impossible(Cluster("ray://head:10001", gpus=2), {"CPU": 4.0})


def test_a_cluster_that_is_not_asked_for_is_refused(prefect_server: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--runner ray"):
        measure_layers("anything", store=tmp_path / "store", ray_address="auto")
