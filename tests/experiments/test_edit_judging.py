"""What edits are judged on beside their task: which items, under which numbers of their classes, and what is left out."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from service.errors import UnknownName
from service.experiments.edit_grid import Grid
from service.experiments.edit_judging import Judging
from service.experiments.edit_networks import editor_of
from service.experiments.edit_parts import asked_of
from service.experiments.edit_request import asked_edits
from service.networks.class_labels import told_classes
from service.networks.datasets import open_dataset
from service.networks.edit_tasks import task_of
from service.settings import Settings

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


@pytest.fixture
def named_network(vision_folder, tmp_path):
    """A classifier whose configuration names its classes."""
    folder = shutil.copytree(vision_folder / "step200", tmp_path / "named")
    said = json.loads((folder / "config.json").read_text())
    names = {str(number): f"digit {number}, number {number}" for number in range(10)}
    names |= {"7": "tabby, tabby cat", "4": "golden retriever", "3": "crane, wader", "5": "crane, lifter"}
    (folder / "config.json").write_text(json.dumps(said | {"id2label": names}))
    return str(folder)


def test_classes_have_the_numbers_of_those_that_the_network_calls_so(pictures, named_network, tmp_path):
    own = pictures("own", ("tabby cat", "golden retriever", "number 2") * 6)
    said = {"name": "t", "dataset": own, "images": {"class": "tabby cat", "exemplars": 2, "style": "invert"}}
    request = asked_edits(named_network, [task_of(said, "t")], Grid(("one-layer",), layers=("2",)), Judging(), line=())
    bench = editor_of(Settings(store=tmp_path / "store"), request.grid).bench(request.parts[0])
    assert {*bench.sets.exemplars.targets.tolist(), *bench.sets.held_out.targets.tolist()} == {7}
    assert set(bench.sets.general["other classes"].targets.tolist()) <= {4, 2}
    assert {bench.general.labels[item] for item in bench.general.item_ids} == {7, 4, 2}
    assert request.parts[0].asked.task_id != asked(own, **said["images"]).task_id  # by numbers in alphabetical order


@pytest.mark.parametrize(("name", "refusal"), [("taby cat", "did you mean 'tabby cat'"), ("crane", "unknown class")])
def test_a_class_that_the_network_does_not_have_or_has_twice_is_refused(pictures, named_network, name, refusal):
    said = {"name": "t", "dataset": pictures("own", (name, "tabby") * 4), "images": {"class": name}}
    with pytest.raises(UnknownName, match=f"unknown class of the network '{name}'") as error:
        asked_edits(named_network, [task_of(said, "t")], Grid(("one-layer",)), Judging(), line=())
    assert refusal in str(error.value)


def test_a_network_that_names_no_classes_tells_none(vision_folder, named_network):
    assert told_classes(str(vision_folder / "step200")) is None
    assert told_classes("python:convnets:convnet:first") is None
    told = told_classes(named_network)
    assert (told["tabby"], told["tabby, tabby cat"], told["wader"], "crane" in told) == (7, 7, 3, False)


def test_the_same_images_in_other_classes_are_another_task_and_another_sample(pictures):
    digests, ids, samples = set(), set(), set()
    for classes in (CLASSES, CLASSES[::-1]):
        own = asked(pictures("own", classes * 4), items=[0, 1, 2])
        digests.add(own.items.dataset.digest)
        ids.add(own.task_id)
        samples.add(own.general.sample)
    assert (len(digests), len(ids), len(samples)) == (1, 2, 2)
