"""Which edits a grid asks for, which of them share a tuning, and what a search tries."""

from __future__ import annotations

import math

import pytest

from service.errors import BadInput, UnknownName
from service.experiments.edit_grid import METHODS, RATES, Grid, sharing_a_tuning


def edits(grid: Grid, method, layers=("a", "b"), seed=0):
    places = grid.places(method, layers)
    return [one for place in places for one in grid.edits(method, "checkpoint", "task", place, seed)]


def test_every_method_has_what_constrains_it_and_nothing_else():
    grid = Grid(METHODS, ranks=(1, 4), alphas=(0.5,))
    found = {method: edits(grid, method) for method in METHODS}
    assert {one.rank for one in found["low-rank"]} == {1, 4}
    assert [one.rank for one in found["rome"]] == [1, 1]
    assert {one.alpha for one in found["1-li"]} == {0.5}
    assert {(one.rank, one.alpha) for one in found["one-layer"]} == {(None, None)}
    assert [one.layer for one in edits(grid, "interpolation", ())] == [None]
    assert [one.layer for one in found["fine-tuning"]] == [None, "a", "b"]
    assert [one.layer for one in edits(Grid(METHODS, layers=("a",)), "fine-tuning", ("a",))] == ["a"]


def test_edits_that_differ_in_anything_have_ids_of_their_own():
    grid = Grid(METHODS, ranks=(1, 4), alphas=(0.25, 0.5))
    found = [one for method in METHODS for seed in (0, 1) for one in edits(grid, method, seed=seed)]
    assert len({one.edit_id for one in found}) == len(found)


def test_alphas_of_one_layer_share_a_tuning_and_ranks_do_not():
    grid = Grid(METHODS, ranks=(1, 4), alphas=(0.25, 0.5))
    assert [len(group) for group in sharing_a_tuning(edits(grid, "1-li"))] == [2, 2]
    assert [len(group) for group in sharing_a_tuning(edits(grid, "low-rank"))] == [1, 1, 1, 1]


def test_a_search_tries_the_usual_settings_and_others_within_its_budget_the_same_each_time():
    grid = Grid(("low-rank",))
    usual = edits(grid, "low-rank", ("b",))[0]
    tried = grid.tried(usual, ["a", "b", "c"], 10)
    assert len(tried) == len(set(tried)) == 10
    assert tried[0] == usual
    assert tried == grid.tried(usual, ["a", "b", "c"], 10)
    assert {one.layer for one in tried} == {"a", "b", "c"}
    assert len({one.rank for one in tried}) > 1
    assert len({one.learning_rate for one in tried}) > 1


def test_what_is_given_is_not_searched_for():
    grid = Grid(("1-li",), layers=("b",), alphas=(0.5,), steps=7, learning_rate=0.1)
    usual = edits(grid, "1-li", ("b",))[0]
    assert grid.tried(usual, ["b"], 10) == [usual]
    rates = Grid(("1-li",), layers=("b",), alphas=(0.5,), steps=7)
    tried = rates.tried(edits(rates, "1-li", ("b",))[0], ["b"], 10)
    assert sorted(one.learning_rate for one in tried) == pytest.approx(
        [RATES["1-li"] * f for f in (0.1, 0.3, 1, 3, 10)]
    )


def test_the_best_of_a_search_fills_in_what_nobody_gave():
    grid = Grid(("low-rank",), alphas=(0.5,))
    best = grid.tried(edits(grid, "low-rank", ("b",))[0], ["a", "b", "c"], 10)[-1]
    assert edits(grid.liking(best), "low-rank", grid.liking(best).layers)[0] == best
    assert grid.liking(None) == grid


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"methods": ()}, "an edit needs a method"),
        ({"methods": ("low-rank",), "alphas": (1.2,)}, "--alpha is a share from 0 to 1; got 1.2"),
        ({"methods": ("low-rank",), "ranks": (0,)}, "--rank is 1 or more; got 0"),
        ({"methods": ("low-rank",), "learning_rate": 0.0}, "--rate is a number above 0 and at most 1e\\+30; got 0.0"),
        ({"methods": ("low-rank",), "learning_rate": math.nan}, "got nan"),
        ({"methods": ("low-rank",), "learning_rate": 1e31}, "got 1e\\+31"),
    ],
)
def test_settings_that_no_edit_can_have_are_refused(given, refusal):
    with pytest.raises(BadInput, match=refusal):
        Grid(**given)


def test_an_unknown_method_is_told_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'rome'"):
        Grid(("romme",))
