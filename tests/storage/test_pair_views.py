"""What the views make of networks that were compared: fine-tunings of several studies, layers that find each other."""

from __future__ import annotations

from itertools import combinations

import pytest
from edit_builders import asked
from pair_builders import compared_as, judged_as, some_networks

from service.results import Null

ACCURACY = {"a1": 0.9, "a2": 0.5, "a3": 0.4, "b1": 0.95, "b2": 0.7, "b3": 0.6}


def test_a_study_keeps_its_reference_when_another_one_has_a_better_network(store):
    some_networks(store, list(ACCURACY), layers=1)
    for model, accuracy in ACCURACY.items():
        judged_as(store, model, accuracy)
    for minutes, pair in enumerate(combinations(("a1", "a2", "a3"), 2)):
        compared_as(store, *pair, {(0, 0): 0.1 * (1 + minutes)}, minutes, "procrustes_angular")
    query = "select reference, model, distance, accuracy_gap from lab.generalisation_distances order by all"
    before = asked(store, query)
    assert [tuple(row.values()) for row in before] == [
        ("a1", "a2", pytest.approx(0.1), pytest.approx(0.4)),
        ("a1", "a3", pytest.approx(0.2), pytest.approx(0.5)),
    ]
    for minutes, model in enumerate(("b2", "b3")):
        compared_as(store, model, "b1", {(0, 0): 0.5}, minutes, "procrustes_angular")
    after = asked(store, query)
    assert after[:2] == before
    assert [(row["reference"], row["model"]) for row in after[2:]] == [("b1", "b2"), ("b1", "b3")]
    networks = asked(store, "select reference, networks from lab.generalisation_by_distance order by all")
    assert [tuple(row.values()) for row in networks] == [("a1", 2), ("b1", 2)]


def test_layers_that_find_each_other_are_counted_with_wilsons_interval(store):
    some_networks(store, ["one", "two"], layers=6)
    # each layer is nearest to itself, but the fourth is nearer to the fifth
    alike = {(i, j): 1 / (1 + abs(i - j)) for i in range(6) for j in range(6)} | {(3, 4): 1.5}
    compared_as(store, "one", "two", alike)
    nearest = asked(store, "select layer_a, layer_b, value, margin from lab.nearest_layer order by layer_a")
    assert [(row["layer_a"], row["layer_b"]) for row in nearest] == [(0, 0), (1, 1), (2, 2), (3, 4), (4, 4), (5, 5)]
    assert (nearest[3]["value"], nearest[3]["margin"]) == (1.5, 0.5)
    (row,) = asked(store, "select * from lab.layer_identification")
    assert (row["layers"], row["identified"], row["chance"]) == (6, 5, pytest.approx(1 / 6))
    assert row["share"] == pytest.approx(0.8333, abs=1e-4)
    # (5 + 1.96^2 / 2 -+ 1.96 sqrt(5 (1 - 5/6) + 1.96^2 / 4)) / (6 + 1.96^2)
    assert row["share_low"] == pytest.approx(0.4365, abs=1e-4)
    assert row["share_high"] == pytest.approx(0.9699, abs=1e-4)


def test_a_network_of_another_depth_or_itself_identifies_no_layers(store):
    some_networks(store, ["one"], layers=3)
    compared_as(store, "one", "one", {(i, j): 1.0 - abs(i - j) for i in range(3) for j in range(3)})
    assert asked(store, "select * from lab.layer_identification") == []


def test_a_pair_has_a_row_of_each_kind_of_null_and_one_that_goes_by_whole_texts(store):
    some_networks(store, ["one", "two"], layers=2)
    value = {(i, j): 0.5 for i in range(2) for j in range(2)}
    nulls = {"items": Null(0.3, 0.1, 2.0, 0.1, 9), "points": Null(0.1, 0.01, 40.0, 0.1, 9)}
    for minutes, (permuted, null) in enumerate(nulls.items()):
        compared_as(store, "one", "two", value, minutes, null=null, permuted=permuted)
    query = "select permuted, z, count(*) as n from {} group by all order by all"
    rows = asked(store, query.format("lab.pair_metrics"))
    assert [tuple(row.values()) for row in rows] == [("items", 2.0, 4), ("points", 40.0, 4)]
    assert asked(store, query.format("lab.network_dissimilarity")) == rows[:1]
    assert [row["z"] for row in asked(store, "select z from lab.nearest_layer")] == [2.0, 2.0]
