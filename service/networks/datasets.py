"""Fixed, hashed windows of text, and their tokens under one tokenizer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import BadInput
from service.networks.coordinated_sample import mixed
from service.networks.text_sources import RANDOM, Documents, find_documents
from service.subjects import Dataset

DEFAULT_WINDOW = 512  # characters
DEFAULT_WINDOWS = 128
DEFAULT_SAMPLE = 4096  # states kept of each layer
RANDOM_LENGTH = 128  # tokens in a window of random ones: what 512 characters of English come to


@dataclass(frozen=True, eq=False)
class TokenWindow:
    """The tokens of one window. All arrays have one entry a token; `char_end` is where it ends in the window's text."""

    item_id: int
    token_ids: NDArray[np.int64]
    char_end: NDArray[np.int64]
    special: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.token_ids)


class Items(Protocol):
    """A dataset that can be read with a tokenizer."""

    @property
    def dataset(self) -> Dataset: ...

    def windows(self, tokenizer: Any, max_length: int | None = None) -> list[TokenWindow]:
        """The windows to read, tokenised. Raises BadInput where the dataset has fewer tokens than were asked for."""
        ...


@dataclass(frozen=True, eq=False)
class TextWindows:
    """Windows of text in their seeded order; the first of them, or as many as `tokens` tokens need, are read."""

    dataset: Dataset
    texts: tuple[tuple[int, str], ...]
    tokens: int | None

    def windows(self, tokenizer: Any, max_length: int | None = None) -> list[TokenWindow]:
        """The windows to read, tokenised with the tokenizer's own special tokens, cut to the network's longest input."""
        limit = len(self.texts) if self.tokens else DEFAULT_WINDOWS
        found = (_tokenised(tokenizer, item_id, text, max_length) for item_id, text in self.texts[:limit])
        return _enough((window for window in found if len(window)), self.tokens, self.dataset.name)


@dataclass(frozen=True, eq=False)
class RandomTokens:
    """Tokens drawn uniformly from the tokenizer's vocabulary, special tokens left out: the control of the paper.

    They have no text: `char_end` counts the drawn tokens, so that two tokenizers still share their places.
    """

    dataset: Dataset
    tokens: int | None
    length: int

    def windows(self, tokenizer: Any, max_length: int | None = None) -> list[TokenWindow]:
        """Windows of random tokens between the special tokens that the tokenizer puts around a text."""
        frame = tokenizer("", add_special_tokens=True)["input_ids"]
        around = tokenizer("a", add_special_tokens=True)["input_ids"]
        lead = next((place for place, token in enumerate(around) if token not in tokenizer.all_special_ids), 0)
        length = self.length if max_length is None else min(self.length, max_length - len(frame))
        count = DEFAULT_WINDOWS if self.tokens is None else -(-self.tokens // (length + len(frame)))
        drawable = np.setdiff1d(np.arange(len(tokenizer)), np.array(tokenizer.all_special_ids, dtype=np.int64))
        generator = np.random.default_rng(0)
        return [self._window(item, drawable, frame, lead, length, generator) for item in range(count)]

    def _window(
        self,
        item: int,
        drawable: NDArray[np.int64],
        frame: Sequence[int],
        lead: int,
        length: int,
        generator: np.random.Generator,
    ) -> TokenWindow:
        drawn = generator.choice(drawable, length)
        ids = np.concatenate([np.array(frame[:lead]), drawn, np.array(frame[lead:])]).astype(np.int64)
        special = np.ones(len(ids), dtype=bool)
        special[lead : lead + length] = False
        return TokenWindow(item, ids, np.clip(np.arange(len(ids)) - lead + 1, 0, length), special)


def open_dataset(
    name: str, *, tokens: int | None = None, window: int | None = None, sample: int | None = None
) -> TextWindows | RandomTokens:
    """The dataset of that name. Options that are not the default become part of its key in the store.

    Raises UnknownName, BadInput.
    """
    options = {"tokens": (tokens, None), "window": (window, DEFAULT_WINDOW), "sample": (sample, DEFAULT_SAMPLE)}
    chosen = [f"{option}={value}" for option, (value, usual) in options.items() if value not in {None, usual}]
    suffix = f"[{','.join(chosen)}]" if chosen else ""
    if name == RANDOM:
        length = max(1, (window or DEFAULT_WINDOW) * RANDOM_LENGTH // DEFAULT_WINDOW)
        digest = hashlib.sha256(f"{RANDOM} {length}".encode()).hexdigest()[:16]
        items = DEFAULT_WINDOWS if tokens is None else -(-tokens // length)
        dataset = Dataset(RANDOM + suffix, "uniform over the vocabulary, seed 0", digest, items, 0)
        return RandomTokens(dataset, tokens, length)
    return _text_windows(find_documents(name), suffix, window or DEFAULT_WINDOW, tokens)


def _text_windows(documents: Documents, suffix: str, window: int, tokens: int | None) -> TextWindows:
    digest, cut = hashlib.sha256(str(window).encode()), []
    for text in documents.texts:
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        cut += [piece for piece in _cut(text, window) if piece.strip()]
    order = np.argsort(mixed(np.arange(len(cut), dtype=np.uint64)), kind="stable")
    texts = tuple((int(place), cut[place]) for place in order)
    dataset = Dataset(
        name=documents.name + suffix,
        source=documents.source,
        digest=digest.hexdigest()[:16],
        items=len(texts) if tokens else min(len(texts), DEFAULT_WINDOWS),
        characters=sum(len(text) for _, text in (texts if tokens else texts[:DEFAULT_WINDOWS])),
        revision=documents.revision,
        split=documents.split,
        licence=documents.licence,
    )
    return TextWindows(dataset, texts, tokens)


def _cut(text: str, window: int) -> Iterator[str]:
    return (text[start : start + window] for start in range(0, len(text), window))


def _tokenised(tokenizer: Any, item_id: int, text: str, max_length: int | None) -> TokenWindow:
    encoded = tokenizer(
        text, return_offsets_mapping=True, truncation=max_length is not None, max_length=max_length, verbose=False
    )
    ids = np.array(encoded["input_ids"], dtype=np.int64)
    special = np.isin(ids, tokenizer.all_special_ids)
    ends = np.array([end for _, end in encoded["offset_mapping"]], dtype=np.int64).reshape(len(ids))
    trailing = special & (ends == 0) & (np.maximum.accumulate(ends) > 0)
    return TokenWindow(item_id, ids, np.where(trailing, len(text), ends), special)


def _enough(found: Iterator[TokenWindow], tokens: int | None, name: str) -> list[TokenWindow]:
    windows, seen = [], 0
    for window in found:
        windows.append(window)
        seen += len(window)
        if tokens and seen >= tokens:
            return windows
    if tokens and seen < tokens:
        raise BadInput(f"{tokens} tokens were asked for, and {name} has {seen} by this tokenizer: give --tokens {seen}")
    return windows
