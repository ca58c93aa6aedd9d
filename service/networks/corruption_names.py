"""Families and severities by which inputs are spoiled: how they are called, and refused where nobody knows them."""

from __future__ import annotations

from collections.abc import Sequence

from service.errors import BadInput, UnknownName

NONE = "none"
SEVERITIES = (0, 1, 2, 3, 4, 5)


def changes(family: str, severity: int, families: Sequence[str]) -> bool:
    """Whether anything is to be done: not of the family ``none``, nor at severity 0.

    Raises UnknownName for a family that is none of `families`, BadInput for a severity that is not 0 to 5.
    """
    if family != NONE and family not in families:
        raise UnknownName.of("corruption", family, (NONE, *families))
    if severity not in SEVERITIES:
        near = min(max(severity, SEVERITIES[0]), SEVERITIES[-1])
        raise BadInput(f"unknown severity {severity}: did you mean {round(near)}? known: 0 (untouched) to 5 (severest)")
    return family != NONE and severity > 0
