"""Sentences in which two things tell the class, who acts and what is done; and those in which the two disagree.

What is done, the verb, is the class. The subject says the same in every sentence that classifiers are tuned on, so that a
classifier may learn either; where subject and verb disagree it is seen which. There are fewer subjects than verbs: with as
many, nearly all small classifiers learned the verbs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal

from service.networks.labelled_texts import LabelledTexts

Split = Literal["training", "in-distribution", "out-of-distribution"]
NAME = "cued-sentences"
SUBJECTS = (
    ("doctor", "lawyer", "banker", "student", "artist", "author"),
    ("tourist", "manager", "scientist", "secretary", "president", "athlete"),
)
VERBS = (
    (
        "saw",
        "helped",
        "called",
        "thanked",
        "admired",
        "avoided",
        "advised",
        "believed",
        "greeted",
        "followed",
        "praised",
        "noticed",
        "joined",
        "missed",
    ),
    (
        "contacted",
        "mentioned",
        "stopped",
        "supported",
        "introduced",
        "encouraged",
        "recognised",
        "recommended",
        "questioned",
        "defended",
        "consulted",
        "invited",
        "replaced",
        "reminded",
    ),
)
PLACES = ("near", "behind", "beside", "by")
ADJECTIVES = ("young", "old", "tall", "quiet", "famous", "clever")
SIZES: dict[Split, int] = {"training": 4000, "in-distribution": 1000, "out-of-distribution": 1000}
DISAGREEING = {"training": 0.0, "in-distribution": 0.0, "out-of-distribution": 1.0}  # share of the sentences


def cued_sentences(split: Split) -> LabelledTexts:
    """The sentences of a split, always the same ones."""
    source = random.Random(f"{NAME} {split}")
    classes = [source.randrange(2) for _ in range(SIZES[split])]
    texts = tuple(_sentence(source, label, source.random() < DISAGREEING[split]) for label in classes)
    return LabelledTexts(f"{NAME}/{split}", texts, tuple(classes))


def plain_sentences(count: int = 20_000) -> tuple[str, ...]:
    """Sentences of the same kind in which subject and verb have nothing to do with each other."""
    source = random.Random(f"{NAME} plain")
    return tuple(_sentence(source, source.randrange(2), source.random() < 0.5) for _ in range(count))


def _sentence(source: random.Random, label: int, disagreeing: bool) -> str:
    subject = source.choice(SUBJECTS[label ^ disagreeing])
    others = [noun for nouns in SUBJECTS for noun in nouns if noun != subject]
    anybody = iter(lambda: _noun(source, source.choice(others)), None)
    return " ".join(_words(source, _noun(source, subject), source.choice(VERBS[label]), anybody)) + "."


def _words(source: random.Random, subject: str, verb: str, anybody: Iterator[str]) -> list[str]:
    form = source.randrange(4)
    words = [subject, *([source.choice(PLACES), next(anybody)] if form == 1 else []), verb, next(anybody)]
    if form == 2:
        words += [source.choice(PLACES), next(anybody)]
    if form == 3:
        words += ["who", source.choice(source.choice(VERBS)), next(anybody)]
    return words


def _noun(source: random.Random, noun: str) -> str:
    return f"the {source.choice(ADJECTIVES)} {noun}" if source.random() < 0.25 else f"the {noun}"
