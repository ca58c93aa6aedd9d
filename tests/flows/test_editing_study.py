"""The study of editing from the command line: as small as it can be, and its four questions answered."""

from __future__ import annotations

import pytest

from service.experiments import edit_study
from service.experiments.edit_study import Size
from service.storage.answers import ask
from service.storage.database import Store


@pytest.fixture
def shrunken(monkeypatch):
    """One task, one draw, three methods, one corruption; of each method the usual settings are tried first."""
    monkeypatch.setattr(edit_study, "METHODS", ("fine-tuning", "1-li", "rewriting"))
    monkeypatch.setattr(edit_study, "QUICK", Size(1, 1, 1, (1,), (0.5,), 1, 20, 4, (3,), ("contrast",)))


def test_the_study_edits_by_every_method_and_answers_its_questions_and_again_does_nothing(
    shrunken, isoscope, vision_folder, tmp_path
):
    for said in ("edited", "nothing is missing"):
        done = isoscope("study", "editing", str(vision_folder), "--quick", store=tmp_path / "store")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"1 draws of 0 in stripes: {said}" in done.stdout
        assert all(f"{number}. " in done.stdout for number in (1, 2, 3, 4))
    made = ask(
        Store(tmp_path / "store", 5), "select method from lab.edits where success is not null order by 1"
    ).to_pylist()
    assert [row["method"] for row in made] == ["1-li", "fine-tuning", "rewriting"]
