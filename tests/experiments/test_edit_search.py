"""Which of the edits that a search has tried it takes."""

from __future__ import annotations

import pytest

from service.experiments.edit_search import Search
from service.storage.edit_coverage import Score
from service.subjects import Edit

USUAL, SHORT, LONG = (Edit("c", "t", "one-layer", "a", None, None, steps, 1e-3) for steps in (40, 10, 80))


@pytest.mark.parametrize(
    ("usual", "short", "long", "best"),
    [
        (0.50, 0.56, 0.61, LONG),
        (0.50, 0.61, 0.61, SHORT),
        (0.52, 0.61, 0.61, USUAL),
        (0.70, 0.61, 0.65, USUAL),
    ],
)
def test_the_usual_settings_stand_where_none_is_better_by_more_than_a_standard_error(usual, short, long, best):
    values = {USUAL: usual, SHORT: short, LONG: long}
    scores = {edit.edit_id: Score(value, 0.1) for edit, value in values.items()}
    assert Search("one-layer", (USUAL, SHORT, LONG)).best(scores) == best
