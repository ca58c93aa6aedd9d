"""The trained networks of the session, loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fact_network import PEOPLE, fact_network, facts
from subject_cases import subject_cases

from service.networks.checkpoints import Network, find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.edit_cases import Cases
from service.networks.image_training import image_steps
from service.networks.training_sets import ImageRecipe
from service.storage.locking import Patience, exclusive

torch.set_num_threads(1)  # tiny networks are slower on more


@pytest.fixture(scope="session")
def decoder(decoder_folder: Path) -> Network:
    """The decoder after its last step."""
    return load(find_checkpoints(str(decoder_folder))[-1], device="cpu")


@pytest.fixture(scope="session")
def encoder(encoder_folder: Path) -> Network:
    """The encoder after its last step."""
    return load(find_checkpoints(str(encoder_folder))[-1], device="cpu")


@pytest.fixture(scope="session")
def classifier(vision_folder: Path) -> Network:
    """The vision transformer after its last step."""
    return load(find_checkpoints(str(vision_folder))[-1], device="cpu")


@pytest.fixture(scope="session")
def people(networks_folder: Path) -> tuple[Network, Cases]:
    """A decoder that knows where people live and what they like, and the cases that ask it for all of that."""
    with exclusive(networks_folder / "facts.lock", Patience(240)):
        network = fact_network(networks_folder / "facts")
    texts = [("", one, verb) for verb in (" lives in", " likes") for one in PEOPLE]
    answers = [f" {told[which]}" for which in (0, 1) for told in facts().values()]
    return network, subject_cases(network, answers, texts)


@pytest.fixture(scope="session")
def normed() -> Network:
    """Somebody's own network of convolutions and batch norms, which learned the digits."""
    network = load(find_checkpoints("python:edit_networks:normed:stem,block")[0], device="cpu")
    digits = open_dataset("digits:train")
    recipe = ImageRecipe(steps=60, save_steps=(), learning_rate=1e-2)
    for _ in image_steps(network.module, network.processor, digits, digits.column("label"), digits.item_ids, recipe):
        pass
    return network
