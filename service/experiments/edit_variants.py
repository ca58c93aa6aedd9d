"""Edits as their authors' code makes them, beside those that are corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from service.experiments.edit_grid import RATES, STEPS, Grid
from service.networks.edit_settings import RELEASED
from service.subjects import Edit, EditMethod

# of rewriting the defaults of the function that is released
RELEASED_STEPS: Mapping[EditMethod, int] = {**STEPS, "rewriting": 2001}
RELEASED_RATES: Mapping[EditMethod, float] = {**RATES, "rewriting": 0.05}


def as_released(edits: Sequence[Edit], grid: Grid) -> list[Edit]:
    """The same edits as released, of the methods that have such a variant, once each; steps and rates are the authors' where
    the grid gives none, whatever was searched for. None where the grid does not ask for them."""
    found = [
        replace(
            edit,
            variant="released",
            steps=grid.steps or RELEASED_STEPS[edit.method],
            learning_rate=grid.learning_rate or RELEASED_RATES[edit.method],
        )
        for edit in edits
        if grid.as_released and edit.method in RELEASED
    ]
    return list(dict.fromkeys(found))
