"""When a checkpoint is ready, and what of a loss curve is recorded, on real folders and a real store."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from sqlalchemy import text

from service.errors import BadInput
from service.experiments.watch_training import Checkpoints, LossCurve, find_training, import_losses
from service.networks.checkpoints import load
from service.results import TrainingStep
from service.storage.answers import ask
from service.storage.database import looking, open_store, publish, writing

CURVE = [TrainingStep(step, 3.0 - step / 10, 0.5) for step in range(1, 6)]


@pytest.fixture
def store(tmp_path):
    return open_store(tmp_path / "store", 5)


@pytest.fixture
def folder(decoder_folder, tmp_path):
    """A training's folder with one checkpoint."""
    shutil.copytree(decoder_folder / "step16", tmp_path / "run" / "step16")
    return tmp_path / "run"


def names(paths):
    return [path.name for path in paths]


def shown(store):
    publish(store)
    rows = ask(store, "select step, loss, source from lab.training_losses where model = 'run' order by step")
    return [tuple(row.values()) for row in rows.to_pylist()]


def stored(store):
    with looking(store) as connection:
        return connection.execute(text("select count(*) from training_losses")).scalar()


def test_a_checkpoint_is_ready_at_the_second_look_and_once(folder):
    checkpoints = Checkpoints(find_training(str(folder)))
    assert checkpoints.look() == []
    assert names(checkpoints.look()) == ["step16"]
    assert names(checkpoints.look()) == ["step16"]
    checkpoints.settle(folder / "step16")
    assert checkpoints.look() == []
    (folder / "step16" / "more.json").write_text("{}")
    assert checkpoints.look() == []
    assert names(checkpoints.look()) == ["step16"]


def test_weights_that_grow_are_never_ready_whatever_the_clock_says(folder):
    checkpoints = Checkpoints(find_training(str(folder)))
    weights = folder / "step16" / "model.safetensors"
    body = weights.read_bytes()
    for part in range(8):
        weights.write_bytes(body[: len(body) * part // 8])
        os.utime(weights, (1e9 - part, 1e9 - part))
        assert checkpoints.look() == []
        assert checkpoints.look() == []
    weights.write_bytes(body)
    os.utime(weights, (0, 0))
    assert checkpoints.look() == []
    assert names(checkpoints.look()) == ["step16"]


def test_what_is_written_to_while_it_is_read_is_refused_and_what_is_deleted_then_is_not(folder):
    checkpoints = Checkpoints(find_training(str(folder)))
    checkpoints.look()
    (ready,) = checkpoints.look()
    network = load(checkpoints.source(ready), device="cpu")
    assert checkpoints.refuse_changed(network, ready) is network
    (ready / "model.safetensors").touch()
    with pytest.raises(BadInput, match="step16 was written to while it was read"):
        checkpoints.refuse_changed(network, ready)
    shutil.rmtree(ready)
    assert checkpoints.refuse_changed(network, ready) is network
    assert checkpoints.look() == []


def test_a_folder_that_is_not_there_or_is_one_checkpoint_is_refused_in_one_line(folder):
    with pytest.raises(BadInput, match="does not exist: give the folder that a training writes"):
        find_training(str(folder / "nowhere"))
    with pytest.raises(BadInput, match=r"is itself a checkpoint: .*isoscope shape"):
        find_training(str(folder / "step16"))
    assert find_training(str(folder)).model == "run"
    assert find_training(str(folder), "mine").model == "mine"


def test_the_same_curve_again_records_nothing_and_a_longer_one_its_end_alone(store):
    assert import_losses(store, "run", "log.csv", CURVE[:3]) == 3
    assert import_losses(store, "run", "log.csv", CURVE[:3]) == 0
    assert import_losses(store, "run", "log.csv", CURVE) == 2
    assert stored(store) == 5
    assert shown(store) == [(step.step, step.loss, "log.csv") for step in CURVE]


def test_a_training_begun_again_replaces_its_losses_also_when_it_comes_back_to_the_first(store):
    again = [TrainingStep(step.step, step.loss + 1) for step in CURVE[2:]]
    for curve, expected in ((CURVE, CURVE), (again, CURVE[:2] + again), (CURVE, CURVE), (again, CURVE[:2] + again)):
        assert import_losses(store, "run", "log.csv", curve)
        assert shown(store) == [(step.step, step.loss, "log.csv") for step in expected]


def test_a_clock_that_was_set_back_does_not_bring_old_losses_back(store):
    import_losses(store, "run", "log.csv", CURVE)
    with writing(store) as connection:
        connection.execute(text("update runs set finished_at = '2099-01-01'"))
    import_losses(store, "run", "log.csv", [TrainingStep(1, 9.0)])
    assert shown(store)[0] == (1, 9.0, "log.csv")


def curves_in_every_form(folder):
    """The same three steps in the forms that trainers leave, each in a folder of its own."""
    from torch.utils.tensorboard import SummaryWriter

    (folder / "state" / "checkpoint-3").mkdir(parents=True)
    history = [{"step": step.step, "loss": step.loss, "grad_norm": 0.5} for step in CURVE[:3]]
    (folder / "state" / "checkpoint-3" / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    for kind in ("csv", "jsonl", "events"):
        (folder / kind).mkdir()
    lines = [f"{step.step},{step.loss},0.5\n" for step in CURVE[:3]]
    (folder / "csv" / "log.csv").write_text(
        "step,loss,grad_norm\n" + "".join(lines) + "4,1"
    )  # the end is not written yet
    (folder / "jsonl" / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in history) + '{"st')
    with SummaryWriter(folder / "events" / "logs") as writer:
        for step in CURVE[:3]:
            writer.add_scalar("train/loss", step.loss, step.step)
            writer.add_scalar("train/grad_norm", 0.5, step.step)


def test_a_curve_is_found_and_imported_in_every_form_and_again_when_it_has_grown(store, tmp_path):
    curves_in_every_form(tmp_path / "runs")
    sources = {"state": "checkpoint-3/trainer_state.json", "csv": "log.csv", "jsonl": "log.jsonl", "events": "logs"}
    for kind, source in sources.items():
        curve = LossCurve(find_training(str(tmp_path / "runs" / kind), f"a-{kind}"), None, every=0)
        assert curve.look() is not None
        assert curve.take_in(store) == 3
        curve.settle()
        assert curve.look() is None
        publish(store)
        rows = ask(store, "select distinct source from lab.training_losses where model = ?", [f"a-{kind}"]).to_pylist()
        assert rows == [{"source": source}]
    with (tmp_path / "runs" / "csv" / "log.csv").open("a") as log:
        log.write(".5,0.5\n")
    curve = LossCurve(find_training(str(tmp_path / "runs" / "csv"), "a-csv"), None, every=0)
    assert curve.look() is not None
    assert curve.take_in(store) == 1


def test_a_curve_that_grows_all_the_time_is_not_read_at_every_look(tmp_path):
    log = tmp_path / "log.jsonl"
    curve = LossCurve(find_training(str(tmp_path)), None, every=60)
    assert curve.look() is None
    log.write_text('{"step": 1, "loss": 2.0}\n')
    assert curve.look() == log
    curve.settle()
    log.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 2.0}\n')
    assert curve.look() is None
    assert curve.look(at_once=True) == log
