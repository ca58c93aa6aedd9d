"""What several flows are given: the types of their parameters, and the run names made of them."""

from __future__ import annotations

from typing import Annotated

from prefect.runtime import flow_run
from pydantic import BeforeValidator, Field

Place = Annotated[str, BeforeValidator(str)]
Count = Annotated[int, Field(ge=1)]
Layer = Annotated[int, Field(ge=0)]
Characters = Annotated[int, Field(ge=8)]
States = Annotated[int, Field(ge=16)]
Seconds = Annotated[float, Field(ge=0)]


def last_part(place: object) -> str:
    """What a folder or a hub name ends with."""
    return str(place).rstrip("/").rsplit("/", 1)[-1]


def name_of_checkpoints() -> str:
    """``pythia-410m step3000 on enwik8``, or how many checkpoints of the model there may be."""
    given = flow_run.parameters
    revisions: list[str] = given.get("revisions") or []
    several = f"{len(revisions)} revisions" if revisions else "all checkpoints"
    steps = revisions[0] if len(revisions) == 1 else several
    return f"{given.get('name') or last_part(given['model'])} {steps} on {last_part(given['dataset'])}"


def name_of_two_networks() -> str:
    """``pythia-410m and gpt2 on enwik8``."""
    given = flow_run.parameters
    first, second = (given.get(f"name_{end}") or last_part(given[end]) for end in ("first", "second"))
    return f"{first} and {second} on {last_part(given['dataset'])}"
