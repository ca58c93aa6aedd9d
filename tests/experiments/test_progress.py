"""Who is told how far a run has come."""

from __future__ import annotations

from service.experiments.progress import Progress, listening, tell


def test_a_listener_hears_what_is_told_inside_its_block_alone() -> None:
    heard: list[Progress] = []
    tell(Progress("extract", "before", 1, 2))
    with listening(heard.append):
        tell(Progress("extract", "inside", 1, 2))
    tell(Progress("extract", "after", 2, 2))
    assert [step.subject for step in heard] == ["inside"]
