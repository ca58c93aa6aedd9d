"""What edits are judged on beside their task: which items, under which numbers of their classes, and what is left out."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from service.experiments.edit_judging import Judging
from service.experiments.edit_parts import asked_of
from service.networks.datasets import open_dataset
from service.networks.edit_tasks import task_of

CLASSES = ("ant", "bee", "cow")


def drawing(seed: int) -> dict[str, bytes]:
    """A picture of noise, as a Parquet file holds it."""
    body = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)).save(body, "PNG")
    return {"bytes": body.getvalue()}


@pytest.fixture
def pictures(tmp_path):
    """Writes pictures of some classes; what it is called stands for the same ones in other classes too."""

    def write(name, labels):
        place = tmp_path / f"{name}.parquet"
        rows = [{"image": drawing(place), "label": label} for place, label in enumerate(labels)]
        pd.DataFrame(rows).to_parquet(place)
        return str(place)

    return write


def asked(dataset, judged=None, **images):
    """A task of 1 exemplar, with what it is judged on."""
    task = task_of({"name": "t", "dataset": dataset, "images": {"exemplars": 1, **images}}, "t")
    return asked_of(task, Judging(judged), open_dataset)


def test_classes_of_another_dataset_have_the_numbers_of_the_task_s(pictures):
    own, other = pictures("own", CLASSES * 4), pictures("other", ("bee", "cow") * 4)
    general = asked(own, other, **{"class": "ant"}).general
    assert sorted({general.labels[item] for item in general.item_ids}) == [1, 2]
    left = asked(own, other, **{"class": "bee", "target": "cow"}).general
    assert {left.labels[item] for item in left.item_ids} == {2}


def test_what_a_task_has_told_as_another_class_is_left_out_whether_it_is_a_class_or_items(pictures):
    own = pictures("own", CLASSES * 4)
    whole = asked(own, **{"class": "bee", "style": "invert"}).general
    assert len(whole.item_ids) == 12
    told = asked(own, **{"class": "bee", "target": "cow"}).general
    assert {told.labels[item] for item in told.item_ids} == {0, 2}
    some = list(open_dataset(own).item_ids[:5])
    assert set(some) & set(whole.item_ids)
    assert not set(some) & set(asked(own, items=some, target="cow").general.item_ids)
    assert set(some) <= set(asked(own, items=some, style="invert").general.item_ids)
    assert len(asked(own, pictures("other", CLASSES), items=some, target="cow").general.item_ids) == 3


def test_the_same_images_in_other_classes_are_another_task_and_another_sample(pictures):
    digests, ids, samples = set(), set(), set()
    for classes in (CLASSES, CLASSES[::-1]):
        own = asked(pictures("own", classes * 4), items=[0, 1, 2])
        digests.add(own.items.dataset.digest)
        ids.add(own.task_id)
        samples.add(own.general.sample)
    assert (len(digests), len(ids), len(samples)) == (1, 2, 2)
