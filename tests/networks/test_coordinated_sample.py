"""Which tokens are kept: the same places of the text for every tokenizer, and a larger sample holds a smaller one."""

from __future__ import annotations

import numpy as np
from tiny_networks import tokenizer_for

from service.networks.batches import Batches
from service.networks.coordinated_sample import coordinated_sample, mixed, place_hash
from service.networks.datasets import open_dataset
from service.networks.training import train_tokenizer


def places(tokenizer, sample: int) -> set[tuple[int, int, int]]:
    """(item, char_end, position) of the sample's tokens."""
    windows = open_dataset("python-reference").windows(tokenizer)
    kept = Batches(windows, sample, 0, "python-reference").sample
    return set(zip(kept.item_id.tolist(), kept.char_end.tolist(), kept.position.tolist(), strict=True))


def test_the_hash_is_that_of_splitmix64():
    states = np.array([1234567], dtype=np.uint64)
    assert int(mixed(states)[0]) == 6457827717110365317  # published first output of the seed 1234567


def test_a_sample_is_part_of_a_larger_one():
    tokenizer = tokenizer_for("causal")
    assert places(tokenizer, 500) < places(tokenizer, 1000)


def test_two_tokenizers_keep_the_same_places_where_both_end_a_token():
    one, other = tokenizer_for("causal"), train_tokenizer(["def f(x): return x " * 50], 290, "masked")
    ends = [
        {
            (window.item_id, int(end))
            for window in open_dataset("python-reference").windows(each)
            for end in window.char_end
        }
        for each in (one, other)
    ]
    shared = ends[0] & ends[1]
    kept = [{(item, end) for item, end, _ in places(each, 3000)} for each in (one, other)]
    limits = [max(int(hashed(place)) for place in each) for each in kept]
    below = {place for place in shared if int(hashed(place)) < min(limits)}
    assert len(below) > 200
    assert below <= kept[0]
    assert below <= kept[1]


def hashed(place: tuple[int, int]) -> np.uint64:
    return place_hash(np.array([place[0]]), np.array([place[1]]))[0]


def test_tokens_that_end_at_one_place_are_told_apart_by_position():
    item, end, position = np.zeros(6, int), np.array([4, 4, 4, 4, 4, 4]), np.arange(6)[::-1]
    assert position[coordinated_sample(item, end, position, 3)].tolist() == [0, 1, 2]


def test_rows_come_by_item_and_then_by_position():
    draw = np.random.default_rng(0)
    item, position = np.repeat(np.arange(40), 30), np.tile(np.arange(30), 40)
    shuffled = draw.permutation(1200)
    kept = coordinated_sample(item[shuffled], position[shuffled] * 3, position[shuffled], 200)
    rows = list(zip(item[shuffled][kept], position[shuffled][kept], strict=True))
    assert rows == sorted(rows)
    assert len(rows) == 200


def test_every_place_of_every_item_is_as_likely_as_another():
    count = 64
    item, end = np.repeat(np.arange(1000), count), np.tile(np.arange(count), 1000)
    kept = coordinated_sample(item, end, end, 16_000)
    by_place, by_item = np.bincount(end[kept], minlength=count), np.bincount(item[kept], minlength=1000)
    assert abs(by_place / 1000 - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 1000)
    assert abs(by_item / count - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / count)
    assert 0.8 < by_item.var() / (count * 0.25 * 0.75) < 1.2
