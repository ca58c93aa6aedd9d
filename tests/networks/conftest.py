"""The trained networks of the session, loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from service.networks.checkpoints import Network, find_checkpoints, load

torch.set_num_threads(1)  # tiny networks are slower on more


@pytest.fixture(scope="session")
def decoder(decoder_folder: Path) -> Network:
    """The decoder after its last step."""
    return load(find_checkpoints(str(decoder_folder))[-1], device="cpu")


@pytest.fixture(scope="session")
def encoder(encoder_folder: Path) -> Network:
    """The encoder after its last step."""
    return load(find_checkpoints(str(encoder_folder))[-1], device="cpu")
