"""One Prefect server a session, and one store that a real flow has filled from really trained networks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness
from typer.testing import CliRunner


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A real Prefect server on loopback, and its address. It keeps connections longer than its clients do: a question that
    comes while one is being closed is lost, which matters where a test lets nothing be asked twice."""
    with pytest.MonkeyPatch.context() as given:
        given.setenv("UVICORN_TIMEOUT_KEEP_ALIVE", "300")
        given.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        with prefect_test_harness(server_startup_timeout=120):
            yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def measured(prefect_server: str, decoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which every checkpoint of the trained decoder was measured on the language reference."""
    from flows.measure_layers import measure_layers

    store = tmp_path_factory.mktemp("measured") / "store"
    measure_layers(str(decoder_folder), dataset="python-reference", sample=512, store=store, name="tiny")
    return store


@pytest.fixture(scope="session")
def isoscope(prefect_server: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, from its arguments to what it prints, against the session's server: ``isoscope("ls", "models", store=...)``.

    In this process: a new one takes seconds to import what this one has.
    """
    from service.cli import app

    def run(*arguments: str, store: Path) -> subprocess.CompletedProcess[str]:
        with pytest.MonkeyPatch.context() as given:
            given.setenv("ISOSCOPE_STORE", str(store))
            done = CliRunner().invoke(app, arguments)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def isoscope_process(prefect_server: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in a process of its own."""

    def run(*arguments: str, store: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments],
            env={**os.environ, "ISOSCOPE_STORE": str(store), "PREFECT_API_URL": prefect_server},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
