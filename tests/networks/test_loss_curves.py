"""Loss curves in the formats that trainers leave."""

from __future__ import annotations

import json
import os

import pytest

from service.errors import BadInput
from service.networks.loss_curves import find_losses, read_losses
from service.results import TrainingStep

HISTORY = [
    {"step": 20, "loss": 2.5, "grad_norm": 1.5, "learning_rate": 1e-3, "epoch": 0.2},
    {"step": 10, "loss": 3.0, "grad_norm": float("nan"), "learning_rate": 2e-3},
    {"step": 20, "eval_loss": 2.0},
    {"step": 30, "train_runtime": 4.0},
]
CURVE = [TrainingStep(10, 3.0, None, None, 2e-3), TrainingStep(20, 2.5, 1.5, None, 1e-3)]


def trainer_state(folder, history=HISTORY):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trainer_state.json"
    path.write_text(json.dumps({"global_step": 20, "log_history": history}))
    return path


def test_trainers_own_state_is_read_without_its_evaluations(tmp_path):
    assert read_losses(trainer_state(tmp_path)) == CURVE


def test_a_loss_that_is_no_number_is_kept_as_such_and_not_dropped(tmp_path):
    path = trainer_state(tmp_path, [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}])
    assert read_losses(path) == [TrainingStep(1, 2.0), TrainingStep(2, None)]


def test_csv_and_json_lines_are_read_by_the_names_in_use(tmp_path):
    (tmp_path / "log.csv").write_text("global_step,train/loss,lr\n10,3.0,0.002\n20,2.5,\n")
    (tmp_path / "log.jsonl").write_text('{"step": 10, "loss": 3.0, "lr": 0.002}\n{"step": 20, "loss": 2.5}\n{"step": 3')
    curve = [TrainingStep(10, 3.0, None, None, 0.002), TrainingStep(20, 2.5)]
    assert read_losses(tmp_path / "log.csv") == read_losses(tmp_path / "log.jsonl") == curve


def test_tensorboards_event_files_are_read(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path / "logs") as writer:
        for step, loss in ((1, 3.0), (2, 2.5)):
            writer.add_scalar("train/loss", loss, step)
            writer.add_scalar("train/grad_norm", loss / 2, step)
            writer.add_scalar("eval/loss", 9.0, step)
    curve = [TrainingStep(1, 3.0, 1.5), TrainingStep(2, 2.5, 1.25)]
    assert read_losses(tmp_path / "logs") == curve
    assert find_losses(tmp_path) == tmp_path / "logs"
    assert read_losses(find_losses(tmp_path)) == curve


def test_the_newest_state_of_a_training_is_the_one_that_is_found(tmp_path):
    assert find_losses(tmp_path) is None
    (tmp_path / "log.csv").write_text("step,loss\n1,2\n")
    assert find_losses(tmp_path) == tmp_path / "log.csv"
    trainer_state(tmp_path / "checkpoint-900")
    newest = trainer_state(tmp_path / "checkpoint-1000")
    os.utime(newest, (0, 0))
    assert find_losses(tmp_path) == newest
    assert find_losses(tmp_path) != trainer_state(tmp_path / "checkpoint-90")
    assert find_losses(tmp_path) == newest
    assert find_losses(trainer_state(tmp_path).parent) == tmp_path / "trainer_state.json"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.csv", "step,accuracy\n1,2\n", "holds no loss curve"),
        ("a.csv", "step,loss\n1,high\n", "cannot be read: could not convert"),
        ("a.jsonl", "not json\n", "cannot be read"),
        ("trainer_state.json", "{}", "cannot be read"),
        ("a.txt", "", "give a trainer_state.json"),
        ("a.jsonl", "", "holds no loss curve"),
    ],
)
def test_what_is_no_loss_curve_is_refused_in_one_line(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=complaint) as refused:
        read_losses(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.csv"):
        read_losses(tmp_path / "gone.csv")
