"""Corruptions of text, in families and severities: slips of the finger, letters' case, lost words, other wordings by template.

Whatever a severity changes, the next one changes too, where the seed is the same; and each changes something where it can.
Source: Belinkov and Bisk 2018, https://arxiv.org/abs/1711.02173 (noise of characters); Wei and Zou 2019,
https://arxiv.org/abs/1901.11196 (words left out); Elazar et al. 2021, https://arxiv.org/abs/2102.01017 (templates)
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.networks.corruption_names import changes

Draw = np.random.Generator
LETTERS = string.ascii_lowercase
SHARES = {  # by severity: of letters, of letters, of words
    "character-noise": (0.02, 0.05, 0.10, 0.15, 0.25),
    "casing": (0.10, 0.25, 0.50, 0.75, 1.00),
    "word-dropout": (0.05, 0.10, 0.20, 0.35, 0.50),
}
CARRIERS = (  # of which as many as the severity says are put before sentences
    "In other words: ",
    "To put it another way: ",
    "Here is what is known. ",
    "Note the following: ",
    "As it happens: ",
    "This much can be said. ",
    "To begin with: ",
    "Consider this. ",
    "It reads as follows: ",
    "One more thing: ",
)


def corrupted_text(text: str, family: str, severity: int, seed: int) -> str:
    """A text spoiled by a family at severity 1 (mildest) to 5; the same text for severity 0 and for the family ``none``.

    ``character-noise`` replaces, leaves out, doubles, or swaps with the next one, 2, 5, 10, 15 and 25 % of the letters;
    ``casing`` turns capital letters small and small ones capital, of 10, 25, 50, 75 and 100 %; ``word-dropout`` leaves out 5,
    10, 20, 35 and 50 % of the words, never all of them; ``template`` puts 1 to 5 English phrases before sentences, so that the
    same is said in other words. Letters and words are drawn one by one, so that shares hold on average; one is changed at
    least. `seed` decides which: give each text a seed of its own. Raises UnknownName, BadInput.
    """
    if not changes(family, severity, FAMILIES):
        return text
    return SPOILED[family](text, severity, np.random.default_rng(seed))


def _struck(possible: NDArray[np.bool_], share: float, draw: Draw) -> NDArray[np.bool_]:
    """A share of what is possible, one at least where anything is."""
    chances = np.where(possible, draw.random(len(possible)), np.inf)
    return possible & (chances <= max(share, chances.min(initial=1.0)))


def _letters(text: str, family: str, severity: int, draw: Draw) -> NDArray[np.bool_]:
    possible = np.array([letter.isalpha() for letter in text], dtype=bool)
    return _struck(possible, SHARES[family][severity - 1], draw)


def _character_noise(text: str, severity: int, draw: Draw) -> str:
    struck = _letters(text, "character-noise", severity, draw)
    slips, others = draw.integers(4, size=len(text)), draw.integers(len(LETTERS), size=len(text))
    found, waiting = [], ""
    for letter, hit, slip, other in zip(text, struck, slips, others, strict=True):
        if hit and slip == 0 and not waiting:
            waiting = letter  # to come after the next one
            continue
        replaced = LETTERS[other] if LETTERS[other] != letter else LETTERS[other - 1]
        found.append((letter, replaced, "", letter + letter)[slip] if hit else letter)
        found.append(waiting)
        waiting = ""
    return "".join(found) + waiting


def _casing(text: str, severity: int, draw: Draw) -> str:
    struck = _letters(text, "casing", severity, draw)
    return "".join(letter.swapcase() if hit else letter for letter, hit in zip(text, struck, strict=True))


def _word_dropout(text: str, severity: int, draw: Draw) -> str:
    """Words go with the white space that follows them."""
    words = re.findall(r"\S+\s*", text)
    lead = text[: len(text) - sum(map(len, words))]
    struck = _struck(np.ones(len(words), dtype=bool), SHARES["word-dropout"][severity - 1], draw)
    if struck.all() and len(words):
        struck[draw.integers(len(words))] = False
    return lead + "".join(word for word, hit in zip(words, struck, strict=True) if not hit)


def _template(text: str, severity: int, draw: Draw) -> str:
    starts = [0, *(found.end() for found in re.finditer(r"[.!?]\s+(?=\S)", text))]
    order = draw.permutation(len(CARRIERS))
    places = draw.integers(len(starts), size=len(CARRIERS))
    before: dict[int, str] = {}
    for carrier, place in zip(order[:severity], places[:severity], strict=True):
        before[starts[place]] = CARRIERS[carrier] + before.get(starts[place], "")
    pieces = zip(starts, [*starts[1:], len(text)], strict=True)
    return "".join(before.get(start, "") + text[start:end] for start, end in pieces)


SPOILED: dict[str, Callable[[str, int, Draw], str]] = {
    "character-noise": _character_noise,
    "casing": _casing,
    "word-dropout": _word_dropout,
    "template": _template,
}
FAMILIES: tuple[str, ...] = tuple(SPOILED)
