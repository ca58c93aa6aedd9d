"""Small networks are trained where they can be kept, by one process at a time, and nothing is done twice."""

from __future__ import annotations

import os

import pytest

from service.errors import BadInput, StoreBusy
from service.experiments import small_networks
from service.experiments.small_networks import SmallNetwork, are_trained, train_networks, training_in

NETWORK = SmallNetwork("causal", 8, 1, activation="solu", seed=3, steps=2)


def test_a_folder_that_cannot_be_is_one_line_and_starts_no_process(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        BadInput, match=r"^networks cannot be kept in .*file/networks: Not a directory; name another folder$"
    ):
        train_networks(tmp_path / "file" / "networks", {NETWORK.name: NETWORK})


def test_two_do_not_train_in_one_folder_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(small_networks, "LONGEST_TRAINING", 0.0)
    held = rf"^waited 0 s for Isoscope process {os.getpid()}, which is training networks in .*networks: "
    with (
        training_in(tmp_path / "networks"),
        pytest.raises(StoreBusy, match=held),
        training_in(tmp_path / "networks"),
    ):
        pass
    with training_in(tmp_path / "networks"):
        pass


def test_what_is_there_is_not_trained_again(tmp_path, monkeypatch):
    (tmp_path / NETWORK.name / "step2").mkdir(parents=True)
    monkeypatch.delattr(small_networks, "training_in")
    assert are_trained(tmp_path, {NETWORK.name: NETWORK})
    assert train_networks(tmp_path, {NETWORK.name: NETWORK}) == [tmp_path / NETWORK.name]
    assert NETWORK.name == "solu-width-8-depth-1-steps-2-seed-3"
