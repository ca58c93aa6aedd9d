"""What a command says that fails or is interrupted: one line."""

from __future__ import annotations

import httpx
import pytest
import typer
from typer.testing import CliRunner

from service.cli_output import OneLineErrors
from service.errors import BadInput

app = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Commands that fail."""


@app.command()
def interrupted() -> None:
    """As a person who presses Ctrl-C, at whose signal the temporary Prefect server is gone too."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise httpx.ConnectError("Connection refused")  # noqa: B904


@app.command()
def refused() -> None:
    """As bad input does."""
    raise BadInput("a number is needed; got none")


@app.command()
def unforeseen() -> None:
    """As a fault of ours does."""
    raise ZeroDivisionError("of something")


@pytest.mark.parametrize(
    ("command", "status", "line"),
    [
        ("interrupted", 130, "isoscope: interrupted; what was recorded stays, the same command goes on from there"),
        ("refused", 1, "isoscope: a number is needed; got none"),
        ("unforeseen", 1, "isoscope: unforeseen ZeroDivisionError: of something (--debug shows where)"),
    ],
)
def test_a_failure_is_one_line_and_a_status(command: str, status: int, line: str) -> None:
    done = CliRunner().invoke(app, [command])
    assert (done.exit_code, done.stderr.strip()) == (status, line)
