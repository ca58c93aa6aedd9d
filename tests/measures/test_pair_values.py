"""Values of pair measures by hand, from independent implementations, by slow twins, and known answers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paired import golden_pair, mapped, related, unrelated

from service.errors import BadShape
from service.measures import Cloud, find_pair
from service.measures.factor import Cross, factor
from service.measures.linear_cka import minibatch_cka
from service.measures.shape_metric import shape_metric

# Of `golden_pair`, float64. linear_cka, linear_cka_debiased: ckatorch 1.0.3 (cka_base, unbiased); rbf_cka: the same, whose
# median counts the diagonal too; procrustes, procrustes_angular: scipy.linalg.orthogonal_procrustes as in ReSi's
# procrustes.py; mean_cca: scikit-learn CCA; rsa_pearson, rsa_spearman: scipy pdist with numpy and scipy correlations;
# mutual_knn: scikit-learn NearestNeighbors; linear_regression and its reverse: scikit-learn LinearRegression; shape_whitened,
# shape_half_whitened: netrep's whiten and LinearMetric.score, in numpy, on clouds of root mean square singular value 1; svcca,
# pwcca: inverse roots of covariances in numpy as in google/svcca's cca_core.py, pwcca with the QR of its pwcca.py, of the first
# cloud's centred variates; relative_cosine: scikit-learn cosine_similarity to the same anchors.
REFERENCE = {
    "linear_cka": 0.40566319459916883,
    "linear_cka_debiased": 0.3914041319881949,
    "procrustes": 0.8779632580058334,
    "procrustes_angular": 0.9751808300551851,
    "mean_cca": 0.538942977983654,
    "svcca": 0.5338733720664917,
    "pwcca": 0.5669083494397812,
    "mutual_knn": 0.122,
    "linear_regression": 0.4691497970302165,
    "linear_regression_reverse": 0.3719121308083933,
    "shape_whitened": 1.0851971978348938,
    "shape_half_whitened": 1.0182434179947037,
    "relative_cosine": 0.3900257828790344,
}


@pytest.mark.parametrize("name", REFERENCE)
def test_independent_implementations_agree(name):
    assert find_pair(name).of(*golden_pair()).value == pytest.approx(REFERENCE[name], abs=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "within"),
    [
        ("rbf_cka", 0.42731763890025587, 2e-5),
        ("rsa_pearson", 0.39934305529049596, 1e-6),
        ("rsa_spearman", 0.392844122570314, 1e-6),
    ],
)
def test_independent_implementations_agree_to_the_precision_of_relations(name, value, within):
    assert find_pair(name).of(*golden_pair()).value == pytest.approx(value, abs=within)


def test_tied_distances_have_the_mean_of_their_ranks():
    # above the diagonal: 1 2 3 1 2 1, of mean ranks 2 4.5 6 2 4.5 2, and 1 0 0 1 1 0, of 5 2 2 5 5 2; scipy.stats.spearmanr
    line, two = columns([0, 1, 2, 3]), columns([0, 1, 0, 0])
    assert find_pair("rsa_spearman").of(line, two).value == pytest.approx(-0.42163702135578396, abs=1e-6)


def columns(*values):
    return Cloud(torch.tensor(values, dtype=torch.float64).T)


def test_values_by_hand():
    # x = (1, -1, 0, 0) and y = (0, 0, 1, -1) share nothing; z = x + y shares half of each, in one direction.
    x, y, z = columns([1, -1, 0, 0]), columns([0, 0, 1, -1]), columns([1, -1, 1, -1])
    assert find_pair("linear_cka").of(x, y).value == pytest.approx(0)
    assert find_pair("linear_cka").of(x, z).value == pytest.approx(0.5)
    assert find_pair("procrustes").of(x, z).value == pytest.approx(2 - 2 * math.sqrt(0.5))
    assert find_pair("procrustes_angular").of(x, z).value == pytest.approx(math.pi / 4)
    assert find_pair("mean_cca").of(x, z).value == pytest.approx(math.sqrt(0.5))
    assert find_pair("linear_regression").of(x, z).value == pytest.approx(0.5)
    # both x and y explain z altogether, z half of them
    both = columns([1, -1, 0, 0], [0, 0, 1, -1])
    assert find_pair("linear_regression").of(both, z).value == pytest.approx(1)
    assert find_pair("linear_regression_reverse").of(both, z).value == pytest.approx(0.5)
    assert find_pair("shape_whitened").of(both, z).value == pytest.approx(math.acos(math.sqrt(0.5)))


def test_debiased_alignment_is_that_of_the_gram_matrices_without_diagonals():
    a, b = related(1, points=40)
    n, ones = 40, torch.ones(40, dtype=torch.float64)

    def hsic(k, la):
        corner = (ones @ k @ ones) * (ones @ la @ ones) / ((n - 1) * (n - 2))
        return (torch.trace(k @ la) + corner - 2 / (n - 2) * (ones @ k @ la @ ones)) / (n * (n - 3))

    grams = [one.points @ one.points.T for one in (a, b)]
    k, la = (gram - gram.diagonal().diag() for gram in grams)
    expected = hsic(k, la) / (hsic(k, k) * hsic(la, la)).sqrt()
    assert find_pair("linear_cka_debiased").of(a, b).value == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize(("points", "width_a", "width_b"), [(20, 5, 5), (50, 100, 30), (400, 10, 200)])
def test_debiased_alignment_of_independent_clouds_is_zero_and_the_biased_one_is_not(points, width_a, width_b):
    pairs = [unrelated(points, width_a, width_b, seed) for seed in range(60)]
    debiased = torch.tensor([find_pair("linear_cka_debiased").of(*pair).value for pair in pairs])
    assert debiased.mean().abs() < 3.5 * debiased.std() / 60**0.5
    biased = torch.tensor([find_pair("linear_cka").of(*pair).value for pair in pairs])
    assert biased.mean() > 3.5 * biased.std() / 60**0.5


def test_minibatches_of_everything_are_the_whole_and_many_come_near_it():
    a, b = related(2, points=2000)
    whole = find_pair("linear_cka_debiased").of(a, b).value
    assert minibatch_cka([(a.points, b.points)]).value == pytest.approx(whole, rel=1e-10)
    batches = list(zip(a.points.split(50), b.points.split(50), strict=True))
    found = minibatch_cka(batches)
    assert found.value == pytest.approx(whole, abs=0.03)
    assert found.n_used == 2000
    biased = [find_pair("linear_cka").of(Cloud(x), Cloud(y)).value for x, y in batches]
    assert abs(sum(biased) / len(biased) - whole) > abs(found.value - whole)


def test_minibatches_that_are_too_small_or_none_are_named():
    with pytest.raises(BadShape, match="a batch needs the same 4 points or more twice; got 3 and 3"):
        minibatch_cka([(torch.zeros(3, 2), torch.zeros(3, 2))])
    assert minibatch_cka([]).note == "there are no batches"
    assert minibatch_cka([(torch.eye(6), torch.eye(6))]).note == "a debiased self-term is not above 0"


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_angular_distance_satisfies_the_triangle_inequality(seed):
    draw = torch.Generator().manual_seed(seed)
    widths = torch.randint(1, 5, (3,), generator=draw).tolist()
    x, y, z = (Cloud(torch.randn(6, width, generator=draw, dtype=torch.float64)) for width in widths)
    angle = find_pair("procrustes_angular")
    assert angle.of(x, z).value <= angle.of(x, y).value + angle.of(y, z).value + 1e-9


def test_the_squared_distance_does_not():
    x, y, z = columns([1, -1, 0, 0]), columns([1, -1, 1, -1]), columns([0, 0, 1, -1])
    distance = find_pair("procrustes")
    assert distance.of(x, z).value > distance.of(x, y).value + distance.of(y, z).value


def test_canonical_correlation_does_not_see_an_invertible_map_and_procrustes_does():
    a, _ = related(7)
    assert find_pair("mean_cca").of(a, mapped(a, 1)).value == pytest.approx(1)
    assert find_pair("shape_whitened").of(a, mapped(a, 1)).value == pytest.approx(0, abs=1e-6)
    assert find_pair("procrustes").of(a, mapped(a, 1)).value > 0.05


def test_a_shape_metric_that_whitens_nothing_is_procrustes():
    cross = Cross.between(*map(factor, related(8)))
    assert shape_metric(cross, 1.0).value == pytest.approx(find_pair("procrustes_angular").of(*related(8)).value)
    between = [shape_metric(cross, alpha / 4).value for alpha in range(5)]
    assert between == sorted(between, reverse=True)


def test_mutual_neighbours_by_hand():
    # two rings of 12 points: on the second, every point has swapped places with the one opposite
    angles = torch.arange(24, dtype=torch.float64) * 2 * math.pi / 24
    ring = torch.stack([angles.cos(), angles.sin()], 1)
    line = torch.arange(24, dtype=torch.float64)[:, None]
    assert find_pair("mutual_knn").of(Cloud(ring), Cloud(2 * ring + 1)).value == 1
    # in the middle of the line all 10 are shared; at the point e places from an end, the ring has 5 - e beyond it
    expected = 1 - 2 * (5 + 4 + 3 + 2 + 1) / (24 * 10)
    assert find_pair("mutual_knn").of(Cloud(ring), Cloud(line)).value == pytest.approx(expected)
