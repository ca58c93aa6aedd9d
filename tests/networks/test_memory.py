"""Host memory does not grow with the number of tokens."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.hidden_states import extract
network = load(find_checkpoints(sys.argv[1])[0], device="cpu")
extract(network, open_dataset("python-reference", tokens=int(sys.argv[2])), 2000)
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def peak(folder, tokens: int) -> float:
    """Peak memory (MiB) of a process of its own that extracts from `tokens` tokens."""
    command = [sys.executable, "-W", "ignore", "-c", CHILD, str(folder), str(tokens)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_ten_times_the_tokens_need_no_more_memory(decoder_folder):
    small, large = (peak(decoder_folder / "step64", tokens) for tokens in (10_000, 100_000))
    assert large < 1.1 * small
