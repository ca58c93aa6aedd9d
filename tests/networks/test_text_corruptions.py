"""Corruptions of text: seeds, ever more damage on real texts, and what each family may and may not touch."""

from __future__ import annotations

from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import BadInput, UnknownName
from service.networks.text_corruptions import CARRIERS, FAMILIES, SHARES, corrupted_text
from service.networks.text_sources import python_reference


@cache
def real_texts(count=20, length=240):
    """Starts of the language reference's documents."""
    return tuple(" ".join(text.split())[:length] for text in python_reference().texts[:count])


def damage(family, severity):
    """The share of characters that are not those of the text, in their order."""
    pairs = [(text, corrupted_text(text, family, severity, seed)) for seed, text in enumerate(real_texts())]
    return np.mean([1 - SequenceMatcher(None, one, other, autojunk=False).ratio() for one, other in pairs])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_damage_rises_with_severity_on_real_texts(family):
    found = [damage(family, severity) for severity in range(6)]
    assert found[0] == 0
    assert found[1] > 0.005
    assert np.all(np.diff(found) > 0), found


@pytest.mark.parametrize("family", FAMILIES)
def test_one_seed_gives_one_text_and_another_another(family):
    for text in real_texts()[:5]:
        found = corrupted_text(text, family, 3, 1)
        assert found == corrupted_text(text, family, 3, 1)
        assert found != text
        assert found != corrupted_text(text, family, 3, 2)


@given(text=st.text(max_size=60), severity=st.integers(0, 5), family=st.sampled_from(("none", *FAMILIES)))
@settings(max_examples=150, deadline=None)
def test_any_text_is_taken_and_nothing_is_changed_where_nothing_was_asked(text, severity, family):
    found = corrupted_text(text, family, severity, 0)
    if severity == 0 or family == "none":
        assert found == text
    if text.strip():
        assert found.strip() or family == "character-noise"


@pytest.mark.parametrize("severity", range(1, 6))
def test_shares_of_letters_and_words_are_those_declared(severity):
    text = "lorem ipsum " * 2000
    cased = corrupted_text(text, "casing", severity, 0)
    assert cased.lower() == text
    share = np.mean([letter.isupper() for letter in cased if letter.isalpha()])
    assert share == pytest.approx(SHARES["casing"][severity - 1], abs=0.01)
    left = len(corrupted_text(text, "word-dropout", severity, 0).split()) / 4000
    assert 1 - left == pytest.approx(SHARES["word-dropout"][severity - 1], abs=0.03)
    noisy = corrupted_text("a" * 20_000, "character-noise", severity, 0)
    wrong = len([letter for letter in noisy if letter != "a"]) / 20_000  # one slip in four replaces the letter
    assert wrong == pytest.approx(SHARES["character-noise"][severity - 1] / 4, rel=0.2)


def test_what_one_severity_changes_the_next_one_changes_too():
    for seed, text in enumerate(real_texts()[:5]):
        for family in ("casing", "word-dropout", "template"):
            found = [corrupted_text(text, family, severity, seed) for severity in range(6)]
            for milder, severer in pairwise(found):
                if family == "casing":
                    kept = [one for one, two, own in zip(milder, severer, text, strict=True) if two == own]
                    assert kept == [own for two, own in zip(severer, text, strict=True) if two == own]
                else:
                    short, long = (severer, milder) if family == "word-dropout" else (milder, severer)
                    assert is_within(short.split(), long.split())


def is_within(few, many):
    """Whether `few` stand among `many` in their order."""
    rest = iter(many)
    return all(one in rest for one in few)


def test_a_template_adds_its_phrases_before_sentences_and_keeps_every_word():
    text = "It rains. Nobody minds! Why should they"
    for severity in range(1, 6):
        for seed in range(10):
            found = corrupted_text(text, "template", severity, seed)
            used = [carrier for carrier in CARRIERS if carrier in found]
            assert len(used) == severity
            for carrier in used:
                assert found.partition(carrier)[2].startswith(("It", "Nobody", "Why", *CARRIERS))
                found = found.replace(carrier, "")
            assert found == text


def test_short_texts_lose_something_but_never_all():
    assert corrupted_text("Paris", "casing", 1, 0).lower() == "paris"
    assert corrupted_text("Paris", "casing", 1, 0) != "Paris"
    assert corrupted_text("Paris", "character-noise", 1, 0) != "Paris"
    assert all(corrupted_text(" Paris ", "word-dropout", severity, 0) == " Paris " for severity in range(1, 6))
    assert all(len(corrupted_text("a b", "word-dropout", 5, seed).split()) == 1 for seed in range(20))
    assert corrupted_text("12 34", "casing", 5, 0) == "12 34"
    assert [corrupted_text("", family, 5, 0) for family in FAMILIES[:3]] == ["", "", ""]


def test_a_single_letter_is_kept_replaced_left_out_or_doubled_alike_often():
    found = [corrupted_text("x", "character-noise", 1, seed) for seed in range(400)]
    shares = [found.count(one) / 400 for one in ("x", "", "xx")]  # with no next letter to swap with, it is kept
    assert shares == pytest.approx([0.25] * 3, abs=0.06)
    assert all(len(one) == 1 for one in found if one not in ("", "xx"))


def test_a_family_or_severity_nobody_knows_is_refused():
    with pytest.raises(UnknownName, match=r"unknown corruption 'word-drop': did you mean 'word-dropout'\?"):
        corrupted_text("a", "word-drop", 1, 0)
    with pytest.raises(BadInput, match=r"unknown severity 6: did you mean 5\?"):
        corrupted_text("a", "casing", 6, 0)
