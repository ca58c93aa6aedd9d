"""What a failed run's state says."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest
from prefect import flow
from prefect.exceptions import TerminationSignal

from flows.failures import ABSENT, in_one_line, interruption
from flows.measure_layers import measure_layers
from service.errors import BadInput, UnknownName


@flow(name="failing", persist_result=False)
@in_one_line
def failing(asked: str | None = None, named: bool = False) -> None:
    """Fail: by name, or as a request to `asked` does that nobody answers."""
    if named:
        raise BadInput("this was needed\nand that was given")
    if asked is None:
        raise ZeroDivisionError("nobody foresaw it")
    try:
        raise httpx.ConnectError("refused", request=httpx.Request("GET", asked))
    except httpx.ConnectError as error:
        raise ValueError("no slot") from error


def test_a_named_failure_is_the_states_message_in_one_line(prefect_server: str) -> None:
    state = failing(named=True, return_state=True)
    assert (state.name, state.message) == ("Failed", "this was needed and that was given")
    with pytest.raises(BadInput, match="this was needed"):
        failing(named=True)


def test_a_measuring_run_says_its_cause(prefect_server: str, tmp_path: Path) -> None:
    state = measure_layers("anything", measures=["twon"], store=tmp_path / "store", return_state=True)
    assert state.message.startswith("unknown measure 'twon': did you mean 'twonn'?")
    assert isinstance(state.result(raise_on_failure=False), UnknownName)


def test_an_absent_server_is_named_and_an_absent_hub_is_not_taken_for_it(prefect_server: str) -> None:
    assert failing(f"{prefect_server}/flow_runs", return_state=True).message == ABSENT
    assert "no slot" in failing("http://127.0.0.1:9/model", return_state=True).message


def test_what_nobody_foresaw_keeps_its_name(prefect_server: str) -> None:
    assert "ZeroDivisionError: nobody foresaw it" in failing(return_state=True).message


def test_an_interrupted_connection_that_complains_of_being_closed_is_known_as_an_interruption() -> None:
    def interrupted() -> None:
        try:
            raise TerminationSignal(signal.SIGTERM)
        finally:
            raise OSError("already closed")

    with pytest.raises(OSError, match="already closed") as caught:
        interrupted()
    assert isinstance(interruption(caught.value), TerminationSignal)
    assert interruption(OSError("already closed")) is None
    assert interruption("no error at all") is None
