"""What holds of every measure: it is declared, obeys its laws, and says why where it has no value."""

import inspect
import math

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import BadShape, UnknownName
from service.measures import Cloud, catalogue, find
from service.measures.spectrum import principal_axes

EXPECTED = (
    "anisotropy anisotropy_uncentred outlier_share effective_rank gride linearity linearity_of_update mean_cosine mle "
    "norm_max norm_mean norm_min participation_ratio twonn"
)
LAWS = {"translation", "rotation", "scaling", "permutation"}
NAMES = sorted(catalogue())


def sample(seed, points=150, width=6):
    """A cloud with a mean, unequal directions, an earlier site and texts."""
    draw = torch.Generator().manual_seed(seed)
    stretch = torch.linspace(2, 0.5, width, dtype=torch.float64)
    earlier = torch.randn(points, width, generator=draw, dtype=torch.float64) * stretch + 1
    noise = torch.randn(points, width, generator=draw, dtype=torch.float64)
    return Cloud(torch.tanh(earlier) + 0.5 * noise + 0.7, torch.arange(points) // 10, None, earlier)


def rotated(cloud, seed):
    draw = torch.Generator().manual_seed(seed)
    width = cloud.points.shape[1]
    turn = torch.linalg.qr(torch.randn(width, width, generator=draw, dtype=torch.float64)).Q
    return Cloud(cloud.points @ turn, cloud.items, None, cloud.previous @ turn)


def shifted(cloud, seed):
    draw = torch.Generator().manual_seed(seed)
    here, before = 100 * torch.randn(2, cloud.points.shape[1], generator=draw, dtype=torch.float64)
    return Cloud(cloud.points + here, cloud.items, None, cloud.previous + before)


def scaled(cloud, seed):
    factor = 10.0 ** (seed % 13 - 6) * 1.7
    return Cloud(cloud.points * factor, cloud.items, None, cloud.previous * factor)


def permuted(cloud, seed):
    order = torch.randperm(len(cloud.points), generator=torch.Generator().manual_seed(seed))
    return Cloud(cloud.points[order], cloud.items[order], None, cloud.previous[order])


TRANSFORMATIONS = {"rotation": rotated, "translation": shifted, "scaling": scaled, "permutation": permuted}


def values(measure, cloud):
    return {detail: (one.value, one.std_error) for detail, one in measure.corrected(cloud).items()}


def test_the_folder_declares_the_measures_that_the_views_ask_for():
    assert sorted(EXPECTED.split()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_says_what_it_is(name):
    measure = find(name)
    assert measure.name == name
    assert measure.version >= 1
    assert measure.unit
    assert measure.source
    assert measure.std_error
    assert measure.invariant_to <= LAWS
    text = inspect.getdoc(measure.corrected)
    assert "Source: " in text
    assert measure.corrected.__name__ == name


def test_an_unknown_measure_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown measure 'anisotrpy': did you mean 'anisotropy'"):
        find("anisotrpy")


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=5, deadline=None)
def test_a_measure_obeys_the_laws_it_declares(name, seed):
    measure = find(name)
    before = values(measure, sample(seed))
    for law in measure.invariant_to:
        after = values(measure, TRANSFORMATIONS[law](sample(seed), seed))
        for detail, (value, error) in before.items():
            # The twin of a permuted cloud is drawn anew from a spectrum that differs in its last digits.
            assert after[detail][0] == pytest.approx(value, rel=1e-5), (law, detail)
            if error is not None:
                assert after[detail][1] == pytest.approx(error, rel=1e-4, abs=1e-12), (law, detail)


@pytest.mark.parametrize("name", NAMES)
def test_a_transformation_that_is_not_declared_does_move_the_value(name):
    measure = find(name)
    before = values(measure, sample(3))
    for law in LAWS - measure.invariant_to:
        after = values(measure, TRANSFORMATIONS[law](sample(3), 3))
        assert any(after[detail][0] != pytest.approx(value, rel=1e-3) for detail, (value, _) in before.items()), law


def test_a_wrong_invariance_is_seen_to_fail():
    stretched = sample(3).points * torch.tensor([5, 1, 1, 1, 1, 1], dtype=torch.float64)
    for name in NAMES:
        other = Cloud(stretched, sample(3).items, None, sample(3).previous[:, :3])
        before, after = values(find(name), sample(3)), values(find(name), other)
        assert any(after[detail][0] != pytest.approx(value, rel=1e-3) for detail, (value, _) in before.items()), name


@pytest.mark.parametrize("name", NAMES)
def test_values_lie_within_the_declared_bounds_and_carry_an_error(name):
    measure = find(name)
    for estimate in measure.corrected(sample(1, points=300)).values():
        assert measure.lower is None or estimate.value >= measure.lower
        assert measure.upper is None or estimate.value <= measure.upper
        assert estimate.std_error > 0
        assert estimate.n_used == 300
        assert estimate.n_dropped == 0


DEGENERATE = {
    "none": torch.zeros(0, 5),
    "one": torch.ones(1, 5),
    "two": torch.eye(2, 5),
    "constant": torch.full((50, 5), 0.1),
    "rounding": torch.full((50, 5), 0.1) * (1 + 1e-8 * torch.arange(50.0)[:, None]),
    "zero": torch.zeros(50, 5),
    "two of many": torch.eye(2, 5).repeat(25, 1),
    "one-hot": torch.eye(40),
    "evenly spaced": torch.arange(60.0)[:, None] * torch.ones(1, 5),
    "huge": 1e18 * torch.eye(30, 5),
}


@pytest.mark.filterwarnings("ignore:std")
@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.parametrize("name", NAMES)
def test_a_degenerate_cloud_gives_a_finite_value_or_a_reason_and_never_an_exception(name, kind):
    points = DEGENERATE[kind]
    measure = find(name)
    for procedure in (measure.corrected, measure.released):
        if procedure is None:
            continue
        estimates = procedure(Cloud(points, torch.arange(len(points)) // 4, None, points.flip(0)))
        for estimate in estimates.values():
            assert estimate.note if estimate.value is None else math.isfinite(estimate.value)


@pytest.mark.parametrize(
    ("name", "kind", "note"),
    [
        ("anisotropy", "constant", "the 50 points do not differ"),
        ("anisotropy", "rounding", "the 50 points do not differ"),
        ("anisotropy", "one", "needs at least 2 points; the cloud has 1"),
        ("anisotropy_uncentred", "zero", "all points are zero"),
        ("outlier_share", "constant", "the 50 points do not differ"),
        ("effective_rank", "constant", "the 50 points do not differ"),
        ("participation_ratio", "none", "needs at least 2 points; the cloud has 0"),
        ("mean_cosine", "zero", "needs at least 2 points that are not zero; the cloud has 0"),
        ("twonn", "constant", "needs at least 10 distinct points; the cloud has 1 of 50, the others repeat them"),
        ("twonn", "two of many", "needs at least 10 distinct points; the cloud has 2 of 50, the others repeat them"),
        ("twonn", "two", "needs at least 10 distinct points; the cloud has 2"),
        ("twonn", "one-hot", "the two nearest neighbours are equally far from every point"),
        ("mle", "one-hot", "the 20 nearest neighbours are equally far from every point"),
        ("mle", "constant", "needs at least 21 distinct points; the cloud has 1 of 50, the others repeat them"),
        ("norm_mean", "none", "there are no points"),
        ("linearity", "constant", "the 50 points do not differ here"),
    ],
)
def test_an_undefined_value_says_why(name, kind, note):
    points = DEGENERATE[kind]
    estimate = find(name).corrected(Cloud(points, None, None, points))[""]
    assert estimate.value is None
    assert estimate.note == note


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-4), (torch.float16, 0.05)])
def test_narrow_floats_give_the_value_of_wide_ones(name, dtype, within):
    cloud = sample(5)
    narrow = Cloud(cloud.points.to(dtype), cloud.items, None, cloud.previous.to(dtype))
    for detail, (value, _) in values(find(name), cloud).items():
        if value is not None:
            assert values(find(name), narrow)[detail][0] == pytest.approx(value, rel=within)


def test_a_cloud_of_not_a_number_is_refused():
    with pytest.raises(BadShape, match="a cloud needs finite points; got NaN or infinity"):
        Cloud(torch.tensor([[0.0, torch.nan]]))


def test_shapes_are_checked_while_testing():
    with pytest.raises(jaxtyping.TypeCheckError):
        principal_axes(torch.zeros(3))
