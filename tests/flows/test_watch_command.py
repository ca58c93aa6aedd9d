"""``isoscope watch`` as a process: beside a real training, beside a copy that takes its time, and when it is told to stop."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_process import PATIENCE
from server_link import Link
from service_process import until
from training_process import WatchProcess, training
from typer.testing import CliRunner

from service.cli import app
from service.storage import answers
from service.storage.consistency import check
from service.storage.database import Store

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def rows(store: Path, query: str) -> list[tuple[object, ...]]:
    """What the published snapshot answers."""
    return answers.as_rows(answers.ask(Store(store, 5), query))[1]


def measured(watch: WatchProcess, label: str) -> Callable[[], bool]:
    """Whether the watch has measured a checkpoint, or has ended."""
    return lambda: f"{label}: " in watch.said() or watch.poll() is not None


def test_beside_a_real_training_every_checkpoint_is_measured_once_and_its_losses_are_there(
    prefect_server: str, tmp_path: Path
) -> None:
    folder, store = tmp_path / "my-run", tmp_path / "store"
    trainer = training(folder, pause=0.4, steps=16, save=4)
    until(lambda: (folder / "checkpoint-4").is_dir() or trainer.poll() is not None, "the first checkpoint")
    with WatchProcess(folder, store, prefect_server, "--until-idle", "3", "--json") as watch:
        assert watch.wait() == 0, watch.said()
    assert trainer.wait(PATIENCE) == 0
    news = [json.loads(line) for line in watch.said().splitlines()]
    assert [one["step"] for one in news if one["kind"] == "measured"] == [4, 8, 12, 16]
    assert not [one for one in news if one["kind"] in ("problem", "left out")], news
    assert news[-1]["kind"] == "stopped"
    assert news[-1]["steps"] == sum(one["steps"] for one in news if one["kind"] == "imported") == 16
    assert rows(store, "select model, step, count(*) from lab.runs where step is not null group by all order by 2") == [
        ("my-run", step, 1) for step in (4, 8, 12, 16)
    ]
    state = json.loads((folder / "checkpoint-16" / "trainer_state.json").read_text())
    logged = [(entry["step"], entry["loss"]) for entry in state["log_history"] if "loss" in entry]
    assert rows(store, "select step, loss from lab.training_losses where model = 'my-run' order by 1") == logged
    assert check(Store(store, 5)) == []


def refuse_a_second(isoscope: Command, first: WatchProcess, folder: Path, store: Path) -> None:
    """See a second watch on the folder end in one line that names the first."""
    done = isoscope("watch", str(folder), store=store)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert f"process {first.pid} watches {folder} for the store {store} already" in line


def test_told_to_stop_it_finishes_its_checkpoint_and_started_again_it_waits_for_one_that_is_copied_in_pieces(
    isoscope: Command, prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    folder, store = tmp_path / "tiny", tmp_path / "store"
    for step in ("step0", "step1"):
        shutil.copytree(decoder_folder / step, folder / step)
    with WatchProcess(folder, store, prefect_server) as watch:
        until(lambda: list(store.glob("activations/**/*.parquet")), "a checkpoint in the middle", watch.said)
        assert watch.end(signal.SIGINT) == 0, watch.said()
    assert watch.said().splitlines()[-1].startswith("stopped: 1 checkpoints measured")
    assert rows(store, "select distinct step from lab.anisotropy_by_layer") == [(0,)]
    with WatchProcess(folder, store, prefect_server) as watch:
        until(measured(watch, "tiny step1"), "the second checkpoint", watch.said)
        refuse_a_second(isoscope, watch, folder, store)
        copy_in_pieces(watch, decoder_folder / "step16", folder / "step16")
        until(measured(watch, "tiny step16"), "the third checkpoint", watch.said)
        (folder / "step64").mkdir()
        shutil.copy(decoder_folder / "step64" / "config.json", folder / "step64")
        assert watch.end(signal.SIGTERM) == 0, watch.said()
    assert "step64 is not whole: there are no safetensors weights" in watch.said()
    assert watch.said().splitlines()[-1].startswith("stopped: 2 checkpoints measured")
    query = "select step, count(*) from lab.runs where step is not null group by 1 order by 1"
    assert rows(store, query) == [(step, 1) for step in (0, 1, 16)]
    assert check(Store(store, 5)) == []


def copy_in_pieces(watch: WatchProcess, source: Path, target: Path) -> None:
    """Copy a checkpoint whose weights arrive bit by bit, with pauses longer than two looks; not one of them is measured."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.safetensors"))
    body = (source / "model.safetensors").read_bytes()
    with (target / "model.safetensors").open("wb") as weights:
        for part in range(5):
            weights.write(body[len(body) * part // 5 : len(body) * (part + 1) // 5])
            weights.flush()
            if part < 4:
                with pytest.raises(subprocess.TimeoutExpired):
                    watch.wait(0.7)
                assert target.name not in watch.said()


def test_without_its_prefect_server_it_goes_on_measuring(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    folder, store = tmp_path / "tiny", tmp_path / "store"
    shutil.copytree(decoder_folder / "step0", folder / "step0")
    with (
        Link(prefect_server) as link,
        # asked twice, for a busy server may answer 503 once; five times would take minutes
        WatchProcess(folder, store, link.api, PREFECT_CLIENT_MAX_RETRIES="1") as watch,
    ):
        until(measured(watch, "tiny step0"), "the first checkpoint", watch.said)
        link.cut()
        shutil.copytree(decoder_folder / "step16", folder / "step16")
        until(measured(watch, "tiny step16"), "a checkpoint without a server", watch.said)
        assert watch.end(signal.SIGTERM) == 0, watch.said()
        assert "the Prefect server does not answer, and was not told of the end" in watch.said()
    query = "select step, count(*) from lab.runs where step is not null group by 1 order by 1"
    assert rows(store, query) == [(0, 1), (16, 1)]
    assert check(Store(store, 5)) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere does not exist: give the folder that a training writes"),
        ([".", "--measure", "twon"], "did you mean 'twonn'"),
        ([".", "--dataset", "python-refrence"], "did you mean 'python-reference'"),
        ([".", "--layers", "two"], "--layers needs numbers"),
    ],
)
def test_what_cannot_be_worked_with_is_refused_before_anything_is_made(
    tmp_path: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOSCOPE_STORE", str(tmp_path / "store"))
    done = CliRunner().invoke(app, ["watch", *arguments])
    assert (done.exit_code, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (tmp_path / "store").exists()
