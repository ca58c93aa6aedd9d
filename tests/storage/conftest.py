"""A real store, and child processes that write to it or hold it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.storage.database import open_store

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory):
    """An empty store to copy: making one takes longer than most tests."""
    return open_store(tmp_path_factory.mktemp("fresh") / "store", lock_wait=20).root


@pytest.fixture
def store(tmp_path, fresh_store):
    """A store of its own, empty."""
    shutil.copytree(fresh_store, tmp_path / "store")
    return open_store(tmp_path / "store", lock_wait=20)


class Children:
    """Python programs in processes of their own, which can import the builders; killed when the test ends."""

    def __init__(self):
        self.running = []

    def start(self, program, *arguments):
        path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
        child = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(child)
        return child

    def run(self, program, *arguments):
        """What the program printed, and its exit status."""
        child = self.start(program, *arguments)
        out, errors = child.communicate(timeout=60)
        return out + errors, child.returncode

    def stop(self):
        for child in self.running:
            child.kill()
            child.communicate()


@pytest.fixture
def children():
    started = Children()
    yield started
    started.stop()
