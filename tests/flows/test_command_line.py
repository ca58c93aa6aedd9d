"""The command as a person types it: a process, its two streams, and its exit status."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest
from command_process import CommandProcess
from service_process import until

from service.storage.consistency import check
from service.storage.database import Store

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line a failure is made of."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_repeated_command_says_that_nothing_is_missing(
    isoscope: Command, measured: Path, decoder_folder: Path
) -> None:
    done = isoscope("shape", str(decoder_folder), "--name", "tiny", "--sample", "512", store=measured)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        "tiny on python-reference[sample=512]: nothing is missing; 4 of 4 checkpoints already measured"
    )


def test_sql_answers_as_a_table_csv_json_and_parquet(isoscope: Command, measured: Path, tmp_path: Path) -> None:
    query = "select step, layer, anisotropy from lab.anisotropy_by_layer where step = 64 order by layer"
    table = isoscope("sql", query, store=measured).stdout.splitlines()
    assert table[0].split() == ["step", "layer", "anisotropy"]
    assert len(table) == 6
    csv = isoscope("sql", query, "--format", "csv", store=measured).stdout.splitlines()
    assert csv[0].replace('"', "") == "step,layer,anisotropy"
    answer = json.loads(isoscope("sql", query, "--json", store=measured).stdout)
    assert [row["layer"] for row in answer] == [0, 1, 2, 3, 4]
    isoscope("sql", query, "--format", "parquet", "--out", str(tmp_path / "a.parquet"), store=measured)
    assert pyarrow.parquet.read_table(io.BytesIO((tmp_path / "a.parquet").read_bytes())).num_rows == 5


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select nothing from lab.anisotropy_by_layer", "nothing"),
        ("select * from lab.no_such_view", "no_such_view"),
        ("selec 1", "syntax error"),
        ("insert into main.models values ('x')", ""),
        ("select * from read_text('/etc/passwd')", ""),
        ("copy (select 1) to '/tmp/leak.csv'", ""),
        ("attach '/tmp/other.duckdb'", ""),
        ("set enable_external_access = true", ""),
    ],
)
def test_a_query_that_cannot_be_answered_is_one_line(isoscope: Command, measured: Path, query: str, said: str) -> None:
    assert said in one_line(isoscope("sql", query, store=measured))


def test_unknown_names_offer_the_nearest_known_one(isoscope: Command, measured: Path, decoder_folder: Path) -> None:
    assert "did you mean 'anisotropy'" in one_line(
        isoscope("shape", str(decoder_folder), "--measure", "anisotropi", store=measured)
    )
    assert "did you mean 'python-reference'" in one_line(
        isoscope("shape", str(decoder_folder), "--dataset", "python-references", store=measured)
    )
    assert "did you mean 'step64'" in one_line(
        isoscope("shape", str(decoder_folder), "--revision", "step65", store=measured)
    )
    assert "did you mean 'views'" in one_line(isoscope("ls", "view", store=measured))
    assert "did you mean 'norms'" in one_line(isoscope("plot", "norm", store=measured))


def test_a_store_that_is_not_there_is_not_made_by_asking(isoscope: Command, tmp_path: Path) -> None:
    for arguments in (["ls", "models"], ["sql", "select 1"], ["check"]):
        assert "isoscope shape" in one_line(isoscope(*arguments, store=tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_ls_and_status_print_json_for_machines(isoscope: Command, measured: Path) -> None:
    models = json.loads(isoscope("ls", "models", "--json", store=measured).stdout)
    assert [(model["model"], model["kind"], model["layers"]) for model in models] == [("tiny", "decoder", 3)]
    views = json.loads(isoscope("ls", "views", "--json", store=measured).stdout)
    assert all(view["meaning"] for view in views)
    assert json.loads(isoscope("status", "--json", store=measured).stdout)["checkpoints"] == 4


def test_plot_writes_a_png_and_an_svg(isoscope: Command, measured: Path, tmp_path: Path) -> None:
    for kind in ("anisotropy", "intrinsic-dimension", "norms", "loss"):
        done = isoscope("plot", kind, "--out", str(tmp_path), store=measured)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"{kind}.png").read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in (tmp_path / f"{kind}.svg").read_text()


def test_layers_that_are_not_numbers_are_refused(isoscope: Command, measured: Path, decoder_folder: Path) -> None:
    said = one_line(isoscope("shape", str(decoder_folder), "--layers", "two", store=measured))
    assert "--layers needs numbers and ranges such as 0,3-6; got 'two'" in said


def start(prefect_server: str, store: Path, folder: Path) -> CommandProcess:
    """A run of the whole command on every checkpoint, in the background."""
    arguments = ("shape", str(folder), "--name", "tiny", "--sample", "256")
    return CommandProcess(*arguments, ISOSCOPE_STORE=str(store), PREFECT_API_URL=prefect_server)


def wait_for(condition: Callable[[], bool], run: CommandProcess) -> None:
    """Until the condition holds or the run ends."""
    while not condition() and run.poll() is None:
        time.sleep(0.005)


def test_a_run_killed_at_any_moment_is_finished_by_the_same_command(
    isoscope: Command, prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    moments: list[Callable[[], bool]] = [
        lambda: (store / "isoscope.duckdb").exists(),
        lambda: any(store.glob("activations/**/.*")),
        lambda: any(store.glob("activations/**/*.parquet")),
        lambda: any(store.glob("ledger/*")),
        lambda: (store / "published.duckdb").exists(),
    ]
    for moment in moments:
        with start(prefect_server, store, decoder_folder) as run:
            wait_for(moment, run)
            run.kill()
    done = isoscope("shape", str(decoder_folder), "--name", "tiny", "--sample", "256", store=store)
    assert done.returncode == 0, done.stderr
    assert check(Store(store, 5)) == []
    answer = isoscope(
        "sql", "select count(*) as n from lab.anisotropy_by_layer where anisotropy > 0", "--json", store=store
    )
    assert json.loads(answer.stdout) == [{"n": 20}]


def test_ctrl_c_is_one_line_and_loses_nothing(
    isoscope: Command, prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with start(prefect_server, store, decoder_folder) as run:
        wait_for((store / "published.duckdb").exists, run)
        run.send_signal(signal.SIGINT)
        assert run.wait() == 130
        assert "interrupted; what was recorded stays" in run.stderr
        assert "Traceback" not in run.stderr
    assert json.loads(
        isoscope("sql", "select count(*) > 0 as kept from lab.layer_metrics", "--json", store=store).stdout
    )[0]["kept"]
    assert check(Store(store, 5)) == []


def test_two_runs_at_once_measure_everything_once(prefect_server: str, decoder_folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with start(prefect_server, store, decoder_folder) as one, start(prefect_server, store, decoder_folder) as other:
        for run in (one, other):
            assert run.wait() == 0, run.stderr
    assert check(Store(store, 5)) == []


def test_a_run_waits_for_who_holds_the_live_file_and_says_so(
    prefect_server: str, measured: Path, decoder_folder: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(measured, tmp_path / "store")
    holder = duckdb.connect(str(store / "isoscope.duckdb"), read_only=True)
    with start(prefect_server, store, decoder_folder) as run:
        until(lambda: "waiting for " in run.stderr or run.poll() is not None, "the run to say that it waits")
        line = next(line for line in run.stderr.splitlines() if line.startswith("waiting for "))
        assert str(os.getpid()) in line
        holder.close()
        assert run.wait() == 0, run.stderr


def test_somebody_reading_the_published_snapshot_hinders_nobody(
    isoscope: Command, isoscope_process: Command, measured: Path, decoder_folder: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(measured, tmp_path / "store")
    with duckdb.connect(str(store / "published.duckdb"), read_only=True) as reader:
        before = reader.execute("select count(*) from lab.layer_metrics").fetchone()
        done = isoscope_process(
            "shape",
            str(decoder_folder),
            "--name",
            "tiny",
            "--sample",
            "512",
            "--as-released",
            "--measure",
            "twonn",
            store=store,
        )
        assert done.returncode == 0, done.stderr
        assert reader.execute("select count(*) from lab.layer_metrics").fetchone() == before
    after = isoscope("sql", "select count(*) as n from lab.layer_metrics", "--json", store=store)
    assert json.loads(after.stdout)[0]["n"] == before[0] + 20
