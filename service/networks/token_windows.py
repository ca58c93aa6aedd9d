"""A text, or a pair of texts, as one tokenizer has it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TokenWindow:
    """The tokens of one window. All arrays have one entry a token; `char_end` is where it ends in the window's text. With
    `last_alone` the states of its last token alone are kept. `token_types` says of a pair which text each token is of, where
    the network is told."""

    item_id: int
    token_ids: NDArray[np.int64]
    char_end: NDArray[np.int64]
    special: NDArray[np.bool_]
    last_alone: bool = False
    token_types: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.token_ids)


def tokenised(tokenizer: Any, item_id: int, text: str, longest: int | None, second: int | None = None) -> TokenWindow:
    """A text as the tokenizer has it, with its own special tokens, cut to `longest` tokens; as a pair of texts where the
    `second` one starts at that character of it, after a space.

    Special tokens that stand between the two end where the second starts, so that they share no place with a token of either.
    """
    parts = (text,) if second is None else (text[: second - 1], text[second:])
    told = tokenizer(*parts, return_offsets_mapping=True, truncation=bool(longest), max_length=longest, verbose=False)
    ids = np.array(told["input_ids"], dtype=np.int64)
    special = np.isin(ids, tokenizer.all_special_ids)
    ends = np.array([end for _, end in told["offset_mapping"]], dtype=np.int64).reshape(len(ids))
    if second is not None:
        ends, types = _ends_of_pair(told.sequence_ids(0), ends, second), told.get("token_type_ids")
    trailing = special & (ends == 0) & (np.maximum.accumulate(ends) > 0)
    found = TokenWindow(item_id, ids, np.where(trailing, len(text), ends), special)
    if second is None or types is None:
        return found
    return replace(found, token_types=np.array(types, dtype=np.int64))


def _ends_of_pair(sequences: list[int | None], ends: NDArray[np.int64], second: int) -> NDArray[np.int64]:
    """Where tokens end in a pair's text, by which of its two each is of; 0 for the special ones around them."""
    of = np.array([-1 if one is None else one for one in sequences], dtype=np.int64)
    before = np.maximum.accumulate(of)
    between = (of == -1) & (before == 0) & (np.flip(np.maximum.accumulate(np.flip(of))) == 1)
    return np.select([of == 0, of == 1, between], [ends, ends + second, second], 0)
