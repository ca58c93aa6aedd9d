"""One task a part of a run, whose failure does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.failures import interruption, worth_retrying
from service.experiments.progress import Progress, tell

P = ParamSpec("P")
R = TypeVar("R")
Part = tuple[str, tuple[Any, ...]]  # its label, and the arguments of its task


def part(name: str, run_name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function the task of one part: tried again where that may help, its result kept by nobody but its caller."""
    return task(
        name=name,
        task_run_name=run_name,
        tags=["gpu"],
        retries=2,
        retry_delay_seconds=[2, 10],
        retry_condition_fn=worth_retrying,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def outcomes_of(
    do: Task[P, R], parts: Sequence[Part], unit: str = "checkpoints"
) -> tuple[list[R], list[BaseException]]:
    """What `do` made of the parts, one after another, and why it made nothing of some. Raises what interrupted it."""
    results = one_by_one(do, parts, unit)
    return gathered(results, len(parts), unit)


def one_by_one(do: Task[P, R], parts: Sequence[Part], unit: str = "checkpoints") -> Iterator[R | BaseException]:
    """What `do` made of each part, or why it made nothing of it."""
    for done, (label, asked) in enumerate(parts):
        tell(Progress("checkpoints", label, done, len(parts), unit))
        state: State[R] = do(*asked, return_state=True)
        yield state.result(raise_on_failure=False)


def gathered(
    results: Iterable[R | BaseException], asked: int, unit: str = "checkpoints"
) -> tuple[list[R], list[BaseException]]:
    """The outcomes of `asked` parts, and why the others have none. Raises what interrupted one, at once."""
    outcomes: list[R] = []
    failures: list[BaseException] = []
    for result in results:
        if not isinstance(result, BaseException):
            outcomes.append(result)
        elif interrupted := interruption(result):
            raise interrupted
        else:
            failures.append(result)
    tell(Progress("checkpoints", "", asked, asked, unit))
    return outcomes, failures
