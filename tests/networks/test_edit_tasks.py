"""Task files: what they say, and what is refused of them in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import BadInput
from service.networks.edit_tasks import read_task, task_of

IMAGES = {"name": "zeros in stripes", "dataset": "digits:test", "images": {"class": 0, "style": "stripes"}}
PROMPT = {"prompt": "A list is ", "target": "long", "subject": "list"}
TEXTS = {"name": "lists", "dataset": "python-reference", "prompts": [PROMPT]}


def test_a_file_says_what_is_asked_of_which_images(tmp_path: Path):
    place = tmp_path / "task.toml"
    place.write_text('name = "zeros"\ndataset = "digits:test"\n[images]\nclass = 0\nstyle = "invert"\nexemplars = 3\n')
    task = read_task(place)
    assert task.modality == "image"
    assert task.images is not None
    assert (task.images.of_class, task.images.style, task.images.exemplars) == (0, "invert", 3)


def test_a_task_is_known_by_what_it_asks_and_of_which_items_whatever_it_is_called():
    one, other = task_of(IMAGES, "a"), task_of(IMAGES | {"name": "another name"}, "b")
    assert one.task_id("digest") == other.task_id("digest")
    assert one.task_id("digest") != one.task_id("of other items")
    assert one.task_id("digest") != task_of(IMAGES | {"images": {"class": 1, "style": "stripes"}}, "c").task_id(
        "digest"
    )


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({}, r"f\.toml: name: field required; a task has name, dataset"),
        ({"name": "a", "dataset": "d"}, "f.toml has no examples: neither"),
        (IMAGES | {"prompts": [PROMPT]}, r"f.toml has both \[images\] and \[\[prompts\]\]"),
        (IMAGES | {"images": {"style": "invert"}}, "needs class or items"),
        (IMAGES | {"images": {"items": []}}, "no examples: items is empty"),
        (
            IMAGES | {"images": {"class": 0, "exemplars": 0}},
            "images.exemplars: input should be greater than or equal to 1",
        ),
        (IMAGES | {"images": {"class": 0, "colour": "red"}}, "images.colour: extra inputs are not permitted"),
        (TEXTS | {"prompts": [PROMPT | {"subject": "tuple"}]}, "the subject 'tuple' is not in the prompt 'A list is '"),
        (TEXTS | {"prompts": [{"prompt": "A"}]}, r"prompts\.0\.target: field required"),
    ],
)
def test_what_asks_nothing_or_too_much_is_refused_in_one_line(said, refusal):
    with pytest.raises(BadInput, match=refusal) as raised:
        task_of(said, "f.toml")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "refusal"), [(b"", "name: field required"), (b"name =", "is no TOML"), (b"\xff\xfe", "is no TOML")]
)
def test_an_empty_and_a_corrupt_file_are_refused(tmp_path: Path, body: bytes, refusal: str):
    place = tmp_path / "task.toml"
    place.write_bytes(body)
    with pytest.raises(BadInput, match=refusal):
        read_task(place)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(BadInput, match=r"nothing\.toml cannot be read: No such file"):
        read_task(tmp_path / "nothing.toml")
