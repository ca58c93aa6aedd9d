"""What holds of every measure of two clouds: it is declared, obeys its laws, and says why where it has no value."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paired import ONE_CLOUD, related, unrelated

from service.errors import BadShape, UnknownName
from service.measures import Cloud, find_pair, pair_catalogue

EXPECTED = (
    "linear_cka linear_cka_debiased linear_regression linear_regression_reverse mean_cca mutual_knn procrustes "
    "procrustes_angular pwcca rbf_cka relative_cosine rsa_pearson rsa_spearman shape_half_whitened shape_whitened svcca"
)
NAMES = sorted(pair_catalogue())


def test_the_folder_declares_the_measures_that_the_views_ask_for():
    assert sorted(EXPECTED.split()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_says_what_it_is(name):
    measure = find_pair(name)
    assert (measure.name, measure.version) == (name, 2 if name == "mutual_knn" else 1)
    assert measure.unit
    assert measure.lower < measure.upper
    assert measure.source
    assert measure.invariant_to <= {*ONE_CLOUD, "permutation"}
    module = inspect.getmodule(measure.prepare if measure.of_cross is None else measure.of_cross)
    assert "Source: " in inspect.getdoc(getattr(module, name))


def test_an_unknown_measure_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown measure of pairs 'linear_ckq': did you mean 'linear_cka'"):
        find_pair("linear_ckq")


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=5, deadline=None)
def test_a_measure_obeys_the_laws_it_declares(name, seed):
    measure = find_pair(name)
    a, b = related(seed)
    value = measure.of(a, b).value
    assert measure.lower <= value <= measure.upper
    for law in measure.invariant_to - {"permutation"}:
        change = ONE_CLOUD[law]
        for pair in ((change(a, seed), b), (a, change(b, seed))):
            assert measure.of(*pair).value == pytest.approx(value, rel=1e-6, abs=1e-7), law
    if "permutation" in measure.invariant_to:
        order = torch.randperm(len(a.points), generator=torch.Generator().manual_seed(seed))
        both = measure.of(Cloud(a.points[order]), Cloud(b.points[order])).value
        assert both == pytest.approx(value, rel=1e-5, abs=1e-6)
    back = measure.of(b, a).value
    assert (back == pytest.approx(value, rel=1e-6)) == measure.symmetric


@pytest.mark.parametrize("name", NAMES)
def test_a_change_that_is_not_declared_does_move_the_value(name):
    measure = find_pair(name)
    a, b = related(3)
    value = measure.of(a, b).value
    for law in set(ONE_CLOUD) - measure.invariant_to:
        moved = [measure.of(ONE_CLOUD[law](a, 3), b).value, measure.of(a, ONE_CLOUD[law](b, 3)).value]
        assert any(one != pytest.approx(value, rel=1e-3) for one in moved), law


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=3, deadline=None)
def test_a_cloud_turned_moved_and_scaled_is_the_same(name, seed):
    measure = find_pair(name)
    a, _ = related(seed, points=60)
    b = ONE_CLOUD["scaling"](ONE_CLOUD["translation"](ONE_CLOUD["rotation"](a, seed), seed), seed)
    perfect = measure.upper if measure.larger_is_more_alike else measure.lower
    assert measure.of(a, b).value == pytest.approx(perfect, abs=1e-6)
    worse = measure.of(a, related(seed, points=60)[1]).value
    assert (perfect - worse) * (1 if measure.larger_is_more_alike else -1) > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_an_order_is_that_of_the_first_clouds_points(name):
    measure = find_pair(name)
    a, b = related(4)
    order = torch.randperm(len(a.points), generator=torch.Generator().manual_seed(4))
    expected = measure.of(Cloud(a.points[order]), b).value
    assert measure.of(a, b, order).value == pytest.approx(expected, rel=1e-6, abs=1e-7)


DEGENERATE = {
    "one": torch.ones(1, 5),
    "constant": torch.full((50, 5), 0.1),
    "rounding": torch.full((50, 5), 0.1) * (1 + 1e-8 * torch.arange(50.0)[:, None]),
    "two of many": torch.eye(2, 5).repeat(25, 1),
    "one-hot": torch.eye(40),
    "evenly spaced": torch.arange(60.0)[:, None] * torch.ones(1, 5),
    "huge": 1e18 * torch.eye(30, 5),
    "four": torch.eye(4, 5),
}


@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.parametrize("name", NAMES)
def test_a_degenerate_cloud_gives_a_finite_value_or_a_reason_and_never_an_exception(name, kind):
    points = DEGENERATE[kind]
    other = torch.randn(len(points), 3, generator=torch.Generator().manual_seed(0))
    for pair in ((points, other), (other, points), (points, points)):
        found = find_pair(name).of(*map(Cloud, pair))
        assert found.note if found.value is None else math.isfinite(found.value)


@pytest.mark.parametrize(
    ("name", "kind", "note"),
    [
        ("linear_cka", "constant", "the 50 points of the first cloud do not differ"),
        ("rbf_cka", "rounding", "the 50 points of the first cloud do not differ"),
        ("linear_cka", "one", "needs at least 4 pairs; there are 1"),
        ("linear_cka_debiased", "one-hot", "the debiased self-term of the first cloud is not above 0: its points are "),
        ("mean_cca", "one-hot", "the first cloud has as many directions as 40 points can have: every correlation is 1"),
        ("linear_regression", "one-hot", "the first cloud has as many directions as 40 points can have: it explains"),
        ("shape_whitened", "one-hot", "as many directions as 40 points can have: whitened, any clouds are alike"),
        ("rsa_pearson", "one-hot", "all distances in a cloud are equal"),
        ("mutual_knn", "four", "needs at least 12 points for 10 neighbours"),
    ],
)
def test_an_undefined_value_says_why(name, kind, note):
    points = DEGENERATE[kind]
    other = torch.randn(len(points), 3, generator=torch.Generator().manual_seed(0))
    found = find_pair(name).of(Cloud(points), Cloud(other))
    assert found.value is None
    assert found.note.startswith(note)


def test_repeated_points_that_are_more_than_half_leave_the_kernel_without_a_bandwidth():
    points = torch.zeros(40, 3)
    points[:5] = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    found = find_pair("rbf_cka").of(Cloud(points), Cloud(points))
    assert found.note == "more than half of the distances in a cloud are zero: the kernel has no bandwidth"


def test_clouds_of_different_numbers_of_points_are_refused():
    with pytest.raises(BadShape, match="a pair needs the same points twice; got 50 and 60"):
        find_pair("linear_cka").of(Cloud(torch.zeros(50, 3)), Cloud(torch.zeros(60, 3)))


def test_fewer_points_than_dimensions_are_noted_where_they_move_the_value():
    a, b = unrelated(30, 40, 10, 0)
    for name in NAMES:
        measure, note = find_pair(name), find_pair(name).of(a, b).note or ""
        inflated = "30 points" in note
        assert inflated == measure.inflated_by_width, name
    assert find_pair("linear_cka").of(a, b).note == "30 points for 40 dimensions: unrelated clouds seem alike"


WHITENING = "linear_regression linear_regression_reverse mean_cca pwcca shape_half_whitened shape_whitened svcca"


def test_fewer_points_than_both_widths_together_are_noted_where_every_direction_counts_alike():
    a, b = unrelated(100, 70, 70, 0)
    noted = {name: find_pair(name).of(a, b).note for name in NAMES}
    assert sorted(name for name, note in noted.items() if note) == WHITENING.split()
    assert noted["pwcca"] == noted["svcca"] == "100 points for 70 + 70 dimensions: unrelated clouds seem alike"
    a, b = unrelated(141, 70, 70, 0)
    assert [name for name in NAMES if find_pair(name).of(a, b).note] == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-4), (torch.float16, 0.03)])
def test_narrow_floats_give_the_value_of_wide_ones(name, dtype, within):
    expected = find_pair(name).of(*related(5)).value
    assert find_pair(name).of(*related(5, dtype=dtype)).value == pytest.approx(expected, rel=within)


@pytest.mark.parametrize("name", NAMES)
def test_one_large_coordinate_that_all_share_does_not_matter(name):
    expected = find_pair(name).of(*related(6)).value
    a, b = related(6, dtype=torch.float32)
    a.points[:, 0] += 1000
    assert find_pair(name).of(a, b).value == pytest.approx(expected, rel=1e-3)
