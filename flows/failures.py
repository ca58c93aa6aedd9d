"""What the Prefect UI says of a run that failed: the one-line cause."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

import httpx
from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL
from prefect.states import Failed

from service.errors import IsoscopeError

P = ParamSpec("P")
R = TypeVar("R")
ABSENT = "the Prefect server was away for too long: what was measured is kept, and running this again measures the rest"


def in_one_line(body: Callable[P, R]) -> Callable[P, R]:
    """A flow's body whose named failure becomes the state's message as it is; who called the flow gets the error itself."""

    @wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return body(*args, **kwargs)
        except IsoscopeError as error:
            return _failed(str(error), error)  # type: ignore[return-value]
        except Exception as error:
            if not any(_is_absence(cause) for cause in _causes(error)):
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


def _is_absence(error: BaseException) -> bool:
    """Whether it is the Prefect server that did not answer; networks and texts come over HTTP too."""
    server = PREFECT_API_URL.value()
    if not server or not isinstance(error, httpx.TransportError):
        return False
    with suppress(RuntimeError):  # it does not say what it had asked
        return str(error.request.url).startswith(str(server))
    return False
