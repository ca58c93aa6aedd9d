"""Fixed, hashed windows of text, and their tokens under one tokenizer."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import BadInput
from service.networks.coordinated_sample import mixed
from service.networks.image_datasets import ImageItems, open_images
from service.networks.text_columns import Columns, column_by_item
from service.networks.text_sources import BUILT_IN, RANDOM, Documents, find_documents
from service.networks.token_windows import TokenWindow, tokenised
from service.subjects import Dataset

DEFAULT_WINDOW = 512  # characters
DEFAULT_WINDOWS = 128
DEFAULT_SAMPLE = 4096  # states kept of each layer
LARGEST_SAMPLE = 20_000  # states kept of each layer where texts and their length are given, and no sample
RANDOM_LENGTH = 128  # tokens in a window of random ones: what 512 characters of English come to


@dataclass(frozen=True)
class Choice:
    """Which tokens of a dataset are read: the first `length` of each of `texts` windows, shorter ones skipped, and of those
    all states kept or the `last` token's alone; `punctuation` says whether it stays in the text. Of images `texts` says how
    many, and `pooled` that the mean over an image's places is kept in their stead."""

    texts: int | None = None
    length: int | None = None
    last: bool = False
    punctuation: bool = True
    pooled: bool = False

    @property
    def names(self) -> list[str]:
        """The choices that are not the usual ones, as they stand in a dataset's name."""
        numbers = [f"{name}={value}" for name, value in (("texts", self.texts), ("length", self.length)) if value]
        return numbers + ["last"] * self.last + ["no-punctuation"] * (not self.punctuation) + ["pooled"] * self.pooled

    @property
    def fixes_tokens(self) -> bool:
        """Whether it says how many tokens there are, so that a sample is at most those."""
        return self.texts is not None or self.length is not None or self.last

    @property
    def sample(self) -> int:
        """How many states of each layer are kept where nobody says."""
        texts = self.texts or DEFAULT_WINDOWS
        if self.last:
            return texts
        return min(texts * self.length, LARGEST_SAMPLE) if self.length else DEFAULT_SAMPLE


USUAL = Choice()


class Items(Protocol):
    """A dataset that can be read with a tokenizer."""

    @property
    def dataset(self) -> Dataset: ...

    @property
    def choice(self) -> Choice: ...

    @property
    def item_ids(self) -> Sequence[int]:
        """The ids of all its items, ascending."""
        ...

    def column(self, name: str) -> dict[int, object]:
        """A column of the dataset's own file: what it holds for each item. Raises UnknownName, BadInput."""
        ...

    def documents(self) -> dict[int, int] | None:
        """The document that each window was cut from, by item; None where every window is one of its own."""
        ...

    def windows(self, tokenizer: Any, max_length: int | None = None) -> list[TokenWindow]:
        """The windows to read, tokenised. Raises BadInput where the dataset has fewer tokens than were asked for."""
        ...


@dataclass(frozen=True, eq=False)
class TextWindows:
    """Windows of text in their seeded order; the first of them, or as many as `tokens` tokens need, are read. `seconds` is for
    pairs of texts, by item: the character at which the second one starts."""

    dataset: Dataset
    texts: tuple[tuple[int, str], ...]
    tokens: int | None
    choice: Choice = USUAL
    origins: tuple[int, ...] = ()
    columns: Columns | None = None
    seconds: tuple[int, ...] = ()

    @property
    def item_ids(self) -> Sequence[int]:
        """The ids of all its windows, also of those that are not read, ascending."""
        return range(len(self.texts))

    def column(self, name: str) -> dict[int, object]:
        """A column of the texts' own file: each window has what its document's row holds. Raises UnknownName, BadInput."""
        return column_by_item(self.columns, name, self.origins, self.dataset.name)

    def documents(self) -> dict[int, int] | None:
        """The document that each window was cut from."""
        return {item: self.origins[item] for item, _ in self.texts} if self.origins else None

    def windows(self, tokenizer: Any, max_length: int | None = None) -> list[TokenWindow]:
        """The windows to read, tokenised with the tokenizer's own special tokens, cut to the network's longest input."""
        if self.choice.fixes_tokens:
            return self._chosen_windows(tokenizer, max_length)
        limit = len(self.texts) if self.tokens else DEFAULT_WINDOWS
        found = self._tokenised(self.texts[:limit], tokenizer, max_length)
        return _enough(found, self.tokens, self.dataset.name)

    def stream(self, tokenizer: Any, max_length: int | None = None) -> Iterator[TokenWindow]:
        """Every window in the seeded order, whatever was chosen to be read, each tokenised when it is asked for."""
        return self._tokenised(self.texts, tokenizer, max_length)

    def _tokenised(
        self, texts: Sequence[tuple[int, str]], tokenizer: Any, longest: int | None
    ) -> Iterator[TokenWindow]:
        starts = dict(enumerate(self.seconds))
        found = (tokenised(tokenizer, item, text, longest, starts.get(item)) for item, text in texts)
        return (window for window in found if len(window))

    def _chosen_windows(self, tokenizer: Any, max_length: int | None) -> list[TokenWindow]:
        """The first windows that are long enough, each cut to the chosen length."""
        length, wanted = self.choice.length, self.choice.texts or DEFAULT_WINDOWS
        if length and max_length and length > max_length:
            raise BadInput(f"{length} tokens of each text were asked for, and the network reads {max_length} at most")
        found = self._tokenised(self.texts, tokenizer, length or max_length)
        kept = list(islice((window for window in found if len(window) >= (length or 1)), wanted))
        if len(kept) < (self.choice.texts or 1):
            least = f" of {length} tokens or more" if length else ""
            raise BadInput(
                f"{self.choice.texts or 1} texts{least} were asked for, and {self.dataset.name} has {len(kept)} by this "
                f"tokenizer: give --texts {max(len(kept), 1)} or a smaller --length"
            )
        return [replace(window, last_alone=self.choice.last) for window in kept]


@dataclass(frozen=True, eq=False)
class RandomTokens:
    """Tokens drawn uniformly from the tokenizer's vocabulary, special tokens left out: the control of the paper.

    They have no text: `char_end` counts the drawn tokens, so that two tokenizers still share their places.
    """

    dataset: Dataset
    tokens: int | None
    length: int
    choice: Choice = USUAL

    @property
    def item_ids(self) -> Sequence[int]:
        """The ids of its windows."""
        return range(self.dataset.items)

    def column(self, name: str) -> dict[int, object]:
        """Raises BadInput: there are none."""
        return column_by_item(None, name, (), self.dataset.name)

    def documents(self) -> None:
        """Every window is one of its own."""

    def windows(self, tokenizer: Any, max_length: int | None = None) -> list[TokenWindow]:
        """Windows of random tokens between the special tokens that the tokenizer puts around a text."""
        frame = tokenizer("", add_special_tokens=True)["input_ids"]
        around = tokenizer("a", add_special_tokens=True)["input_ids"]
        lead = next((place for place, token in enumerate(around) if token not in tokenizer.all_special_ids), 0)
        length = self.length if max_length is None else min(self.length, max_length - len(frame))
        if self.choice.length:
            length = max(self.choice.length - len(frame), 1)
        count = DEFAULT_WINDOWS if self.tokens is None else -(-self.tokens // (length + len(frame)))
        count = self.choice.texts or count
        drawable = np.setdiff1d(np.arange(len(tokenizer)), np.array(tokenizer.all_special_ids, dtype=np.int64))
        generator = np.random.default_rng(0)
        found = (self._window(item, drawable, frame, lead, length, generator) for item in range(count))
        return [replace(window, last_alone=self.choice.last) for window in found]

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
    name: str,
    *,
    tokens: int | None = None,
    window: int | None = None,
    sample: int | None = None,
    choice: Choice = USUAL,
) -> TextWindows | RandomTokens | ImageItems:
    """The dataset of that name, of texts or of images. Options that are not the default become part of its key in the store.

    Raises UnknownName, BadInput.
    """
    options = {"tokens": (tokens, None), "window": (window, DEFAULT_WINDOW), "sample": (sample, choice.sample)}
    chosen = [f"{option}={value}" for option, (value, usual) in options.items() if value not in {None, usual}]
    chosen += choice.names
    suffix = f"[{','.join(chosen)}]" if chosen else ""
    if name == RANDOM:
        length = max(1, (window or DEFAULT_WINDOW) * RANDOM_LENGTH // DEFAULT_WINDOW)
        digest = hashlib.sha256(f"{RANDOM} {length}".encode()).hexdigest()[:16]
        items = choice.texts or (DEFAULT_WINDOWS if tokens is None else -(-tokens // length))
        dataset = Dataset(RANDOM + suffix, "uniform over the vocabulary, seed 0", digest, items, 0)
        return RandomTokens(dataset, tokens, length, choice)
    if name not in BUILT_IN:
        images = open_images(name, suffix, choice, tokens=tokens, window=window, sample=sample)
        if images is not None:
            return images
    documents = find_documents(name)
    if documents.seconds and window:
        raise BadInput(f"{documents.name} is of pairs of texts, which are read whole: leave --window out")
    return _text_windows(documents, suffix, window or DEFAULT_WINDOW, tokens, choice)


def _text_windows(
    documents: Documents, suffix: str, window: int, tokens: int | None, choice: Choice = USUAL
) -> TextWindows:
    plain = "" if choice.punctuation else " without punctuation"
    digest, cut = hashlib.sha256(f"{window}{plain}".encode()), []
    origins: list[int] = []
    for number, text in enumerate(documents.texts):
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        pieces = [piece for piece in ([text] if documents.seconds else _cut(text, window)) if piece.strip()]
        # taken away after the cut, so that a window is the same item with and without
        cut += pieces if choice.punctuation else [without_punctuation(piece) for piece in pieces]
        origins += [number] * len(pieces)
    order = np.argsort(mixed(np.arange(len(cut), dtype=np.uint64)), kind="stable")
    texts = tuple((int(place), cut[place]) for place in order)
    usual = min(len(texts), choice.texts or DEFAULT_WINDOWS)
    dataset = Dataset(
        name=documents.name + suffix,
        source=documents.source,
        digest=digest.hexdigest()[:16],
        items=len(texts) if tokens else usual,
        characters=sum(len(text) for _, text in (texts if tokens else texts[:usual])),
        revision=documents.revision,
        split=documents.split,
        licence=documents.licence,
    )
    return TextWindows(dataset, texts, tokens, choice, tuple(origins), documents.columns, documents.seconds)


def without_punctuation(text: str) -> str:
    """The text without the characters that Unicode calls punctuation."""
    return "".join(letter for letter in text if not unicodedata.category(letter).startswith("P"))


def _cut(text: str, window: int) -> Iterator[str]:
    return (text[start : start + window] for start in range(0, len(text), window))


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
