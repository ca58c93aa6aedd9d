"""What the study of editing asks where nobody says what: tasks of a dataset's own, and how much of everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import BadInput
from service.experiments.edit_study import QUICK, asked_study, own_tasks, usual_dataset


def test_tasks_of_images_are_classes_in_styles_told_as_what_they_are():
    tasks = own_tasks("digits:test", 3)
    assert [task.name for task in tasks] == ["0 in stripes", "3 in invert", "6 in stripes"]
    assert all(task.images is not None and task.images.target is None for task in tasks)


def test_tasks_of_texts_are_facts_with_subjects_in_their_prompts():
    tasks = own_tasks("python-reference", 4)
    assert len({task.task_id("digest") for task in tasks}) == 4
    assert all(one.subject in one.prompt for task in tasks for one in task.prompts)


def test_a_network_that_notes_its_training_images_is_asked_of_others(vision_folder, decoder_folder):
    assert usual_dataset(str(vision_folder)) == "digits:test"
    assert usual_dataset(str(decoder_folder)) == "python-reference"


def test_random_tokens_and_a_module_of_python_without_a_dataset_are_refused(monkeypatch):
    with pytest.raises(BadInput, match="random tokens"):
        own_tasks("random-tokens", 2)
    monkeypatch.chdir(Path(__file__).parents[1] / "networks")
    with pytest.raises(BadInput, match="give --dataset, or --task FILE"):
        usual_dataset("python:convnets:convnet:first,second")


def test_a_quick_study_of_images_edits_by_every_method_but_rome_and_draws_the_line_by_other_checkpoints(vision_folder):
    request = asked_study(str(vision_folder), (), "digits:test", quick=True)
    assert len(request.parts) == QUICK.tasks * QUICK.seeds
    assert "rome" not in request.grid.methods
    assert "rewriting" in request.grid.methods
    assert [source.checkpoint.step for source in request.line] == [0]
    general = request.parts[0].asked.general
    assert len(general.corruptions) == 1 + len(QUICK.kinds or ()) * len(QUICK.severities)
    assert len({part.asked.general.sample for part in request.parts}) == 1


def test_a_study_of_a_decoder_has_rome_and_no_rewriting(decoder_folder):
    request = asked_study(str(decoder_folder), (), "python-reference", quick=True)
    assert "rome" in request.grid.methods
    assert "rewriting" not in request.grid.methods
    assert request.parts[0].source.checkpoint.step == 64
