"""The map of many networks: planted distances come back on the plane, and who is left out is named."""

from __future__ import annotations

import math
from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
from planted_pairs import Pairs, apart, places

from service.errors import BadInput
from service.report.figures import as_png, figure
from service.report.map_figure import MOST_NETWORKS, styles
from service.report.network_distances import DISTANCES, Distances
from service.report.network_map import network_map


@pytest.fixture
def pairs():
    return Pairs()


def rows_of(pairs):
    return pairs.connection.execute(DISTANCES.replace("{where}", "where dataset = 'enwik8'")).fetchall()


def map_of(pairs):
    return network_map(rows_of(pairs))


def spread(plane):
    """All distances on a plane."""
    return {
        (a, b): math.dist(x, y)
        for a, x in zip(plane.sites, plane.places, strict=True)
        for b, y in zip(plane.sites, plane.places, strict=True)
    }


def compare_all(pairs, networks, at, layers=3, leave=(), itself=True, **more):
    for a, b in (combinations_with_replacement if itself else combinations)(networks, 2):
        if (a, b) not in leave:
            pairs.compare(a, b, apart(at), (layers, layers), **more)


def test_places_on_a_plane_come_back_with_all_their_distances(pairs):
    at = places("abc")
    compare_all(pairs, "abc", at)
    found = map_of(pairs)
    (plane,) = found.planes
    assert plane.kept == pytest.approx(1)
    for (one, other), distance in spread(plane).items():
        assert distance == pytest.approx(apart(at)(one, other), abs=1e-9)
    assert (found.names, found.left_out, plane.layer) == ({name: f"{name} step 100" for name in "abc"}, (), None)


def test_a_pair_may_be_recorded_in_either_direction_and_counts_once_where_in_both(pairs):
    at = places("ab")
    for a, b in (("a", "a"), ("b", "b"), ("b", "a")):
        pairs.compare(a, b, apart(at))
    assert map_of(pairs).planes[0].kept == pytest.approx(1)
    pairs.compare("a", "b", lambda one, other: 3 * apart(at)(one, other))
    found, sites = Distances.of(rows_of(pairs)), [("a", 0), ("b", 2)]
    assert found.matrix(sites)[0][1] == found.matrix(sites)[1][0] == pytest.approx(2 * apart(at)(*sites))


@pytest.mark.parametrize(
    ("measure", "value"),
    [("procrustes_angular", lambda d: d), ("procrustes", lambda d: d**2), ("linear_cka", np.cos), ("rbf_cka", np.cos)],
)
def test_each_measure_becomes_a_distance_of_its_own_kind(pairs, measure, value):
    at = places("ab")
    for a, b in (("a", "a"), ("a", "b"), ("b", "b")):
        pairs.compare(a, b, lambda one, other: value(apart(at)(one, other)), measure=measure)
    found = map_of(pairs)
    assert found.measure == measure
    assert spread(found.planes[0])[("a", 0), ("b", 2)] == pytest.approx(apart(at)(("a", 0), ("b", 2)))


def test_the_measure_is_the_one_of_most_pairs_and_of_equal_ones_the_first_metric(pairs):
    at = places("abc")
    for measure in ("linear_cka", "procrustes", "mutual_knn"):
        compare_all(pairs, "ab", at, measure=measure)
    assert map_of(pairs).measure == "procrustes"
    pairs.compare("b", "c", apart(at), measure="linear_cka")
    assert map_of(pairs).measure == "linear_cka"


def test_only_the_newest_checkpoint_of_each_network_with_all_tokens_and_components_is_on_the_map(pairs):
    at, other = places("ab"), places("ab", seed=1)
    compare_all(pairs, "ab", at, without_top=1)
    assert map_of(pairs).measure == "procrustes_angular without 1 principal components"
    compare_all(pairs, "ab", at)
    compare_all(pairs, "ab", other, steps=(5, 5))
    compare_all(pairs, "ab", other, positions="not-first")
    found = map_of(pairs)
    assert (found.measure, list(found.names.values())) == ("procrustes_angular", ["a step 100", "b step 100"])
    assert spread(found.planes[0])[("a", 1), ("b", 1)] == pytest.approx(apart(at)(("a", 1), ("b", 1)))


def test_the_network_that_most_distances_are_missing_of_is_left_out_and_named(pairs):
    at = places("abcd")
    compare_all(pairs, "abcd", at, leave=[("a", "b"), ("b", "d")])
    found = map_of(pairs)
    assert found.left_out == ("b step 100",)
    assert list(found.names) == ["a", "c", "d"]
    (legend,) = figure("map", pairs.connection).subfigs[0].legends
    assert legend.get_title().get_text() == "Left out, not compared with all others and itself: b step 100"


def test_without_comparisons_with_itself_each_layer_has_a_plane_of_its_own(pairs):
    at = places("abc", layers=7)
    compare_all(pairs, "abc", at, layers=7, itself=False)
    pairs.compare("a", "other", lambda one, two: 1.0, (7, 4))
    found = map_of(pairs)
    assert [plane.layer for plane in found.planes] == [0, 2, 4, 6]
    for plane in found.planes:
        sites = [("a", plane.layer), ("c", plane.layer)]
        assert spread(plane)[tuple(sites)] == pytest.approx(apart(at)(*sites))
    assert found.note == "Left out, not compared with all others or of another depth: other step 100"


def test_more_networks_than_a_plane_shows_have_a_plane_for_each_layer(pairs):
    names = [f"n{place}" for place in range(9)]
    at = places(names)
    compare_all(pairs, names[:8], at)
    assert [plane.layer for plane in map_of(pairs).planes] == [None]
    for name in names:
        pairs.compare(name, names[8], apart(at))
    assert [plane.layer for plane in map_of(pairs).planes] == [0, 1, 2]


@pytest.mark.parametrize(
    ("compared", "said"),
    [
        ([("a", "a", 3, 3)], "a map needs two networks; there is a alone: run `isoscope compare a` with another"),
        (
            [("a", "b", 3, 4)],
            "the distances for a map of a, b are not complete: run `isoscope compare a a --measure procrustes_angular`, "
            "`isoscope compare b b --measure procrustes_angular`",
        ),
        (
            [("a", "b", 3, 4), ("b", "c", 4, 5)],
            r".* `isoscope compare a c --measure procrustes_angular`, `isoscope compare b b .*` and 1 more",
        ),
    ],
)
def test_what_is_missing_for_a_map_is_named_as_commands(pairs, compared, said):
    for a, b, *layers in compared:
        pairs.compare(a, b, lambda one, other: abs(one[1] - other[1]), layers)
    with pytest.raises(BadInput, match=f"^{said}$"):
        figure("map", pairs.connection)


def test_an_empty_store_and_a_network_that_was_not_compared_are_told_to_compare(pairs):
    with pytest.raises(BadInput, match="no map to draw: run `isoscope compare A B --measure procrustes_angular` first"):
        figure("map", pairs.connection)
    compare_all(pairs, "ab", places("ab"))
    with pytest.raises(BadInput, match="no map to draw for 'x'"):
        figure("map", pairs.connection, models=["x"])


def test_a_line_joins_the_layers_of_a_network_and_its_start_is_hollow(pairs):
    compare_all(pairs, "ab", places("ab"))
    compare_all(pairs, "ab", places("ab"), dataset="wikitext")
    first, second = figure("map", pairs.connection).subfigs
    assert [part._suptitle.get_text() for part in (first, second)] == [
        "Networks by procrustes_angular on enwik8", "Networks by procrustes_angular on wikitext",
    ]  # fmt: skip
    (axes,) = first.axes
    assert axes.get_title(loc="left") == "all layers: the plane keeps 100% of the squared distances"
    for network, line, points in zip("ab", axes.lines, axes.collections, strict=True):
        expected = [place for _, *place in map_of(pairs).planes[0].of(network)]
        np.testing.assert_allclose(line.get_xydata(), expected)
        assert [tuple(face) == (1, 1, 1, 1) for face in points.get_facecolors()] == [True, False, False]
    assert axes.get_aspect() == 1
    assert [text.get_text() for text in first.legends[0].get_texts()] == ["a step 100", "b step 100", "layer 0"]


def test_numbers_stand_beside_points_without_lying_on_each_other(pairs):
    compare_all(pairs, "abcdef", places("abcdef", layers=25), layers=25)
    drawn = figure("map", pairs.connection)
    assert as_png(drawn)
    numbers = drawn.subfigs[0].axes[0].texts
    boxes = [text.get_window_extent() for text in numbers]
    assert 6 <= len(boxes) < 150
    assert not any(one.shrunk(0.8, 0.6).overlaps(other.shrunk(0.8, 0.6)) for one, other in combinations(boxes, 2))


def test_no_two_networks_look_alike_and_there_are_no_more_than_that():
    names = [str(place) for place in range(MOST_NETWORKS)]
    assert len(set(styles(names).values())) == MOST_NETWORKS
    with pytest.raises(BadInput, match="a map holds 49 networks; 50 were compared: name fewer models"):
        styles([*names, "more"])
