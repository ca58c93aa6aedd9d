"""Training of small image classifiers: they learn, the same each time, and say on what."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from service.errors import BadInput, NetworkMismatch
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.image_training import (
    accuracy,
    image_steps,
    predictions,
    small_vision_network,
    train_images,
)
from service.networks.training_sets import ImageRecipe, training_set, training_set_of

SHORT = ImageRecipe(steps=4, warmup=2, batch=16, save_steps=(0, 2, 4))


@pytest.fixture(scope="module")
def digits():
    """The digits to train on."""
    return open_dataset("digits:train")


def trained(digits, folder, recipe=SHORT, item_ids=None, seed=0):
    """A small network after a few steps on few digits."""
    module, processor = small_vision_network(16, 1, 10, seed=seed)
    chosen = digits.item_ids[:50] if item_ids is None else item_ids
    return train_images(module, processor, digits, digits.column("label"), chosen, folder, recipe)


def weights(folder):
    """Those of a checkpoint."""
    return load_file(folder / "model.safetensors")


def equal(one, other):
    """Whether two checkpoints have the same weights to the last bit."""
    mine, yours = weights(one), weights(other)
    return mine.keys() == yours.keys() and all(torch.equal(mine[name], yours[name]) for name in mine)


def test_a_small_vision_transformer_learns_the_digits(vision_folder):
    held_out = open_dataset("digits:test")
    before, after = (load(source, device="cpu") for source in find_checkpoints(str(vision_folder)))
    labels = held_out.column("label")
    assert accuracy(before, held_out, labels) < 0.3
    assert accuracy(after, held_out, labels) >= 0.95
    told = predictions(after, held_out, held_out.item_ids)
    share = sum(told[item] == label for item, label in labels.items()) / 360
    assert accuracy(after, held_out, labels) == share
    wrong = {item: (label + 1) % 10 for item, label in labels.items()}
    assert accuracy(after, held_out, wrong) < 0.05
    with pytest.raises(BadInput, match="accuracy needs one label or more"):
        accuracy(after, held_out, {})


def test_the_same_seed_gives_the_same_weights_and_another_others(digits, tmp_path):
    one, other = (trained(digits, tmp_path / name) for name in ("one", "other"))
    threads = torch.get_num_threads()
    assert all(equal(one / step, other / step) for step in ("step0", "step2", "step4"))
    assert not equal(one / "step2", one / "step4")
    assert not equal(one / "step0", trained(digits, tmp_path / "third", seed=1) / "step0")
    later = trained(digits, tmp_path / "fourth", replace(SHORT, seed=1))
    assert equal(one / "step0", later / "step0")
    assert not equal(one / "step4", later / "step4")
    assert torch.get_num_threads() == threads


def test_the_order_of_the_items_decides_the_weights(digits, tmp_path):
    turned = trained(digits, tmp_path / "turned", item_ids=digits.item_ids[:50][::-1])
    assert not equal(trained(digits, tmp_path / "straight") / "step4", turned / "step4")


def test_an_interrupted_training_ends_in_the_same_weights(digits, tmp_path):
    class Killed(Exception):
        pass

    def kill(step):
        if step.step == 3:
            raise Killed

    module, processor = small_vision_network(16, 1, 10)
    labels, chosen = digits.column("label"), digits.item_ids[:50]
    with pytest.raises(Killed):
        train_images(module, processor, digits, labels, chosen, tmp_path / "killed", SHORT, kill)
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["step0", "step2"]
    assert equal(trained(digits, tmp_path / "killed") / "step4", trained(digits, tmp_path / "whole") / "step4")


def test_a_finished_training_is_not_done_again(digits, tmp_path):
    folder = trained(digits, tmp_path / "net")
    stamps = [path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))]
    assert trained(digits, tmp_path / "net") == folder
    assert [path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))] == stamps


def test_a_checkpoint_says_what_it_was_trained_on(digits, tmp_path):
    chosen = digits.item_ids[:50]
    said = training_set_of(trained(digits, tmp_path / "net") / "step2")
    assert (said.dataset, said.dataset_digest, said.count) == ("digits:train", digits.dataset.digest, 50)
    note = training_set(digits, digits.column("label"), chosen, SHORT)
    assert replace(said, architecture=None) == note
    labels = digits.column("label")
    for other, ids in (
        (labels, chosen[::-1]),
        (labels, chosen[1:]),
        ({**labels, chosen[3]: (labels[chosen[3]] + 1) % 10}, chosen),
    ):
        assert training_set(digits, other, ids, SHORT).items_digest != said.items_digest
    assert training_set_of(tmp_path) is None
    (tmp_path / "training_set.json").write_text(json.dumps({"dataset": "digits"}))
    with pytest.raises(NetworkMismatch, match="does not say what was trained on"):
        training_set_of(tmp_path)


def test_a_folder_of_another_training_is_refused(digits, tmp_path):
    trained(digits, tmp_path / "net")
    for options in ({"item_ids": digits.item_ids[:49]}, {"recipe": replace(SHORT, learning_rate=1e-4)}):
        with pytest.raises(NetworkMismatch, match="was trained on other items, labels or order, or by another recipe"):
            trained(digits, tmp_path / "net", **options)


def test_what_cannot_be_trained_on_is_refused(digits, tmp_path):
    with pytest.raises(BadInput, match="training needs one item or more; got none"):
        trained(digits, tmp_path / "net", item_ids=())
    module, processor = small_vision_network(16, 1, 10)
    with pytest.raises(BadInput, match=f"item {digits.item_ids[0]} has no label"):
        next(image_steps(module, processor, digits, {}, digits.item_ids, SHORT))
    with pytest.raises(BadInput, match="step 9 is asked for, and 4 are made"):
        trained(digits, tmp_path / "net", replace(SHORT, save_steps=(9,)))


def test_every_item_is_seen_once_before_any_again(digits):
    module, _ = small_vision_network(16, 1, 10)
    seen = []

    def noting(images):
        return torch.arange(len(images), dtype=torch.float32)[:, None, None, None].expand(-1, 1, 8, 8)

    module.register_forward_pre_hook(lambda _, args: seen.append(args[0][:, 0, 0, 0].int().tolist()))
    recipe = replace(SHORT, batch=10, steps=10)
    list(image_steps(module, noting, digits, digits.column("label"), digits.item_ids[:50], recipe))
    first, second = ([row for rows in seen[start : start + 5] for row in rows] for start in (0, 5))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
