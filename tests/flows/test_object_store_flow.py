"""The commands on a store in a bucket of a real S3 server, its database on this host."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from s3_server import S3Server

from flows.deployments import deployments
from service.settings import Settings
from service.storage import answers
from service.storage.consistency import check
from service.storage.database import Store

NORMS = "select * from lab.norms_by_layer order by all"
QUICK = ("--revision", "step16", "--sample", "256", "--measure", "norm_mean", "--json")


def test_a_bucket_is_measured_into_once_checked_and_rebuilt_from(
    isoscope: Callable[..., subprocess.CompletedProcess[str]], s3: S3Server, decoder_folder: Path, tmp_path: Path
) -> None:
    store = f"s3://{s3.new_bucket()}/runs"

    def said(*arguments: str) -> str:
        done = isoscope(*arguments, store=store)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    first, second = (json.loads(said("shape", str(decoder_folder), *QUICK))[0] for _ in range(2))
    assert (len(first["measured"]), first["rows"], second["measured"], second["rows"]) == (1, 15, [], 0)
    before = answers.ask(Store(store), NORMS)
    shutil.rmtree(tmp_path / "database")
    assert said("rebuild") == f"rebuilt {store} from 1 runs\n"
    assert answers.ask(Store(store), NORMS) == before
    assert check(Store(store)) == []


def test_a_deployment_is_given_the_url_as_it_is(s3: S3Server) -> None:
    store = "s3://bucket/runs?endpoint_override=127.0.0.1:9000&scheme=http"
    for deployment in deployments(Settings(store=store), "isoscope", []):
        assert deployment.parameters["store"] == store
