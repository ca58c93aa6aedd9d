"""Which items are taken away: by attribution, from its other end, by chance, and the concept's own."""

from __future__ import annotations

import numpy as np
import pytest

from service.errors import BadInput, UnknownName
from service.experiments.removals import NOTHING, Ranked, Removal, asked_removals

ITEMS = np.array([10, 11, 12, 13, 14, 15])
SCORES = np.array([0.5, 2.0, -1.0, 2.0, 0.0, 0.1])
EXEMPLARS = np.array([True, False, True, False, True, False])
CLASSES = np.array([0, 1, 1, 1, 0, 1])
RANKED = Ranked(ITEMS, SCORES, EXEMPLARS, CLASSES)


def test_the_top_are_those_of_the_largest_scores_and_ties_go_by_the_items_number():
    assert RANKED.removed(Removal("top", 1), 0).tolist() == [11]
    assert RANKED.removed(Removal("top", 3), 0).tolist() == [10, 11, 13]


def test_the_bottom_are_those_of_the_smallest_scores():
    assert RANKED.removed(Removal("bottom", 2), 0).tolist() == [12, 14]


def test_nothing_is_nothing():
    assert RANKED.removed(NOTHING, 0).tolist() == []
    assert NOTHING.name == "none"


def test_random_items_are_the_seeds_and_more_of_them_hold_the_fewer():
    few, more = (set(RANKED.removed(Removal("random", count), 3).tolist()) for count in (2, 4))
    assert few < more
    assert RANKED.removed(Removal("random", 2), 3).tolist() == sorted(few)
    drawn = {tuple(RANKED.removed(Removal("random", 2), seed).tolist()) for seed in range(20)}
    assert len(drawn) > 5


def test_exemplars_are_of_the_concept_alone():
    assert RANKED.removed(Removal("exemplars", 3), 5).tolist() == [10, 12, 14]


def test_class_matched_items_are_others_with_as_many_of_each_class_as_the_top():
    draw = np.random.default_rng(1)
    items, classes = np.arange(100, 160), draw.integers(0, 3, 60)
    ranked = Ranked(items, draw.normal(size=60), classes == 0, classes)
    for count in (1, 7, 20):
        top = ranked.removed(Removal("top", count), 0)
        drawn = [ranked.removed(Removal("class-matched", count), seed) for seed in range(5)]
        for own in drawn:
            assert sorted(classes[own - 100]) == sorted(classes[top - 100])
            assert not set(own) & set(top)
        assert len({tuple(own) for own in drawn}) > 1


def test_a_class_without_enough_others_gives_some_of_the_top():
    # the top four are 11, 13, 10 and 15: three of class 1, which has one more, and one of class 0, which has one more
    matched = RANKED.removed(Removal("class-matched", 4), 0).tolist()
    assert {12, 14} < set(matched)
    assert len(set(matched) & {11, 13, 15}) == 2


def test_more_than_there_is_is_refused():
    with pytest.raises(BadInput, match="exemplars:4 asks for more than the 3 exemplars of the concept there are"):
        RANKED.removed(Removal("exemplars", 4), 0)
    with pytest.raises(BadInput, match="random:7 asks for more than the 6 training items there are"):
        RANKED.removed(Removal("random", 7), 0)


def test_a_grid_brings_as_many_of_each_control():
    found = asked_removals("top:50,10%", 1000, ("random", "exemplars"), exemplars=80)
    assert [one.name for one in found] == [
        "top-50",
        "top-100",
        "random-50",
        "random-100",
        "exemplars-50",
        "exemplars-80",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("top:1000", "--remove 1000 is 1000 of 1000 training items: give 1 to 999"),
        ("top:0", "--remove 0 is 0 of 1000 training items"),
        ("top:many", "--remove takes numbers or shares such as top:100 or top:5%,10%; got 'many'"),
        ("top", "--remove takes numbers or shares"),
    ],
)
def test_counts_that_cannot_be_are_refused(text, said):
    with pytest.raises(BadInput, match=said):
        asked_removals(text, 1000)


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'top'"):
        asked_removals("tops:5", 1000)
