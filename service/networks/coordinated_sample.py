"""Which tokens are kept: the smallest of a seeded hash of where they stand in the text, whatever the tokenizer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SEED = np.uint64(0x150C0BE)


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64 well-mixed bits of each value.

    Source: the finaliser of SplitMix64, Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195
    """
    with np.errstate(over="ignore"):
        state = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))


def place_hash(item_id: NDArray[np.int64], char_end: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash of (item_id, char_end), the same on every machine and for every tokenizer."""
    return mixed(mixed(item_id.astype(np.uint64) ^ SEED) ^ char_end.astype(np.uint64))


def coordinated_sample(
    item_id: NDArray[np.int64], char_end: NDArray[np.int64], position: NDArray[np.int64], points: int
) -> NDArray[np.int64]:
    """The indices of the `points` tokens whose places hash smallest, ordered by item and then by position.

    Two networks that both end a token at some place of the text keep it or not by the same hash, so their samples pair by an
    inner join on (item_id, char_end). Tokens that end at one place are told apart by their position.
    """
    order = np.lexsort((position, item_id, place_hash(item_id, char_end)))[:points]
    return order[np.lexsort((position[order], item_id[order]))]
