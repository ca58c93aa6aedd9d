"""The runs that experiments record, from when they began to when they ended, and the plans that run nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from service import __version__
from service.errors import BadInput
from service.storage.rows import Run
from service.subjects import content_id


def now() -> datetime:
    """The time, in naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def ended_run(
    experiment: str,
    parameters: Mapping[str, Any],
    begun: datetime,
    *about: str,
    device: str,
    flow_run_id: str | None = None,
    seed: int = 0,
    seconds: Mapping[str, float] | None = None,
    run_id: str | None = None,
) -> Run:
    """A run of an experiment that began then and ends now. `about` is what it was of, for an id of its own where none is
    given."""
    return Run(
        run_id=run_id or content_id("run", experiment, *about, parameters, begun.isoformat(), flow_run_id),
        experiment=experiment,
        parameters=parameters,
        code_version=__version__,
        seed=seed,
        device=device,
        prefect_flow_run_id=flow_run_id,
        started_at=begun,
        finished_at=max(begun, now()),  # clocks are set back
        seconds=seconds or {},
    )


def no_network(*_: object) -> NoReturn:
    """In the place of a network where only what is missing is asked. Raises BadInput."""
    raise BadInput("a plan loads no network")
