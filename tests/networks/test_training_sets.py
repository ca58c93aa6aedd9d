"""What is noted of a training: the name that opens its dataset again, and the network's architecture."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from service.errors import BadInput, NetworkMismatch
from service.networks.datasets import open_dataset
from service.networks.image_training import small_vision_network, train_images
from service.networks.retraining import fresh, trained_on
from service.networks.text_training import train_windows
from service.networks.training import Recipe, small_decoder, train_tokenizer
from service.networks.training_sets import (
    TRAINING_SET,
    ImageRecipe,
    architecture_of,
    check_same,
    lasting_name,
    noted,
    training_set_of,
)

SHORT = ImageRecipe(steps=1, warmup=1, batch=8)


@pytest.fixture
def folder(tmp_path):
    """A network after one step, with its note."""
    items = open_dataset("digits:train:pooled")
    module, processor = small_vision_network(16, 1, 10)
    labels = items.column("label")
    ids, opened = items.item_ids, "digits:train:pooled"
    return train_images(module, processor, items, labels, ids, tmp_path / "net", SHORT, opened=opened)


def test_names_are_absolute_where_they_are_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.parquet").touch()
    (tmp_path / "digits").mkdir()
    here = str((tmp_path / "here.parquet").resolve())
    assert lasting_name("here.parquet") == here
    assert lasting_name("./here.parquet:pooled") == f"{here}:pooled"
    assert lasting_name("here.parquet:image:pooled") == f"{here}:image:pooled"
    for name in ("digits", "digits:train:pooled", "hf:here.parquet:x", "python-reference", "nowhere.txt", "no:where"):
        assert lasting_name(name) == name


def test_the_name_that_opens_the_dataset_is_noted_and_told(folder):
    said = training_set_of(folder / "step1")
    assert (said.dataset, said.opened, said.openable) == (
        "digits:train[pooled]",
        "digits:train:pooled",
        "digits:train:pooled",
    )
    assert trained_on(folder / "step1", said.opened)[1] == said
    with pytest.raises(BadInput, match=r": give --dataset digits:train:pooled that it was trained on$"):
        trained_on(folder / "step1", "digits:test")
    with pytest.raises(BadInput, match=r"is of another kind: give --dataset digits:train:pooled$"):
        trained_on(folder / "step1", "python-reference")
    (folder / "step1" / TRAINING_SET).write_text(json.dumps(asdict(replace(said, items_digest="other"))))
    with pytest.raises(BadInput, match=r": give --dataset digits:train:pooled, as it was then$"):
        trained_on(folder / "step1", "digits:train:pooled")


def test_older_notes_without_name_and_architecture_are_read_and_are_the_same(folder):
    said = training_set_of(folder / "step1")
    older = {name: value for name, value in asdict(said).items() if name not in {"opened", "architecture"}}
    (folder / "step1" / TRAINING_SET).write_text(json.dumps(older))
    found = training_set_of(folder / "step1")
    assert found == replace(said, opened=None, architecture=None)
    assert found.openable == "digits:train[pooled]"
    check_same(folder / "step1", said)
    check_same(folder / "step1", replace(said, opened="elsewhere"))
    with pytest.raises(BadInput, match=r"digest .*: give the dataset that it was trained on$"):
        trained_on(folder / "step1", "digits:test")


def test_another_architecture_is_refused_where_both_say_theirs(folder):
    items, place = open_dataset("digits:train:pooled"), folder / "step1"
    module, processor = small_vision_network(16, 2, 10)
    labels = items.column("label")
    with pytest.raises(NetworkMismatch, match=r"step1 holds a network of another architecture: give another folder$"):
        train_images(module, processor, items, labels, items.item_ids, folder, SHORT)
    said = training_set_of(place)
    (place / TRAINING_SET).write_text(noted(replace(said, architecture=None))[TRAINING_SET])
    train_images(module, processor, items, labels, items.item_ids, folder, SHORT)


def test_an_architecture_stays_itself_on_disk_and_with_other_weights(folder, tmp_path):
    said = training_set_of(folder / "step1").architecture
    assert len(said) == 16
    assert said == architecture_of(fresh(folder / "step1", 7)[0]) == architecture_of(small_vision_network(16, 1, 10)[0])
    assert said != architecture_of(small_vision_network(16, 1, 10, patch=4)[0])
    assert said != architecture_of(small_vision_network(16, 1, 9)[0])
    named, _ = small_vision_network(16, 1, 10)
    named.config.id2label = {number: f"digit {number}" for number in range(10)}
    assert said == architecture_of(named)
    items = open_dataset("python-reference")
    tokenizer = train_tokenizer([text for _, text in items.texts[:10]], 300, "causal")
    recipe = Recipe(1, (1,), batch=2, length=16)
    ids = [item for item, _ in items.texts[:20]]
    decoder = small_decoder(16, 1, len(tokenizer))
    place = (
        train_windows(decoder, tokenizer, items, ids, tmp_path / "texts", recipe, opened="python-reference") / "step1"
    )
    note = training_set_of(place)
    assert note.opened == "python-reference"
    assert note.architecture == architecture_of(fresh(place, 3, of_texts=True)[0])
    assert note.architecture != architecture_of(small_decoder(16, 2, len(tokenizer)))
    assert architecture_of(object()) is None
