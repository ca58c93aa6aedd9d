"""What the Prefect UI says of a run that failed: the one-line cause."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

import httpx
from prefect import get_run_logger
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import TerminationSignal
from prefect.settings import PREFECT_API_URL
from prefect.states import Failed
from prefect.tasks import Task

from service.errors import IsoscopeError, StoreBusy, StoreUnreachable

P = ParamSpec("P")
R = TypeVar("R")
ABSENT = "the Prefect server was away for too long: what was measured is kept, and running this again measures the rest"


def worth_retrying(_task: Task, _run: TaskRun, state: State) -> bool:
    """Whether trying again may help: what Isoscope can name stays as it is, save a store that is busy or away."""
    cause = state.result(raise_on_failure=False)
    if interruption(cause) is not None:
        return False
    return isinstance(cause, StoreBusy | StoreUnreachable) or not isinstance(cause, IsoscopeError)


def in_one_line(body: Callable[P, R]) -> Callable[P, R]:
    """A flow's body whose named failure becomes the state's message as it is; who called the flow gets the error itself."""

    @wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return body(*args, **kwargs)
        except IsoscopeError as error:
            return _failed(str(error), error)  # type: ignore[return-value]
        except Exception as error:
            if not is_absence(error):
                raise
            return _failed(ABSENT, error)  # type: ignore[return-value]

    # names in annotations are looked up where a function was written, which for `run` would be here
    run.__signature__ = inspect.signature(body, eval_str=True)  # type: ignore[attr-defined]
    return run


def _failed(said: str, error: Exception) -> State[Exception]:
    get_run_logger().error(said)
    return Failed(message=" ".join(said.split()), data=error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on down."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def interruption(error: object) -> BaseException | None:
    """The SIGTERM or Ctrl-C that an error came of, None if it did not: a connection that is interrupted complains of being
    closed, and a run that took that for a fault of its own would go on until it is killed."""
    causes = _causes(error) if isinstance(error, BaseException) else ()
    return next((cause for cause in causes if isinstance(cause, TerminationSignal | KeyboardInterrupt)), None)


def is_absence(error: BaseException) -> bool:
    """Whether it comes of the Prefect server not answering; networks and texts come over HTTP too."""
    return any(_is_absence(cause) for cause in _causes(error))


def _is_absence(error: BaseException) -> bool:
    server = PREFECT_API_URL.value()
    if not server or not isinstance(error, httpx.TransportError):
        return False
    with suppress(RuntimeError):  # it does not say what it had asked
        return str(error.request.url).startswith(str(server))
    return False


def raise_together(
    failures: Sequence[BaseException], asked: int, what: str = "checkpoints could not be measured"
) -> None:
    """One error for all: the only one as it is, several as a count and the first. Raises what was found."""
    if not failures:
        return
    if (len(failures) == 1 and asked == 1) or not isinstance(failures[0], IsoscopeError):
        raise failures[0]
    raise type(failures[0])(f"{len(failures)} of {asked} {what}, the first: {failures[0]}")
