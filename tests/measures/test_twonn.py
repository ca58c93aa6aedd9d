"""TwoNN, corrected and as released."""

import math

import pytest
import torch

from service.measures import Cloud
from service.measures.twonn import twonn, twonn_as_released

# scikit-dimension 0.4.2, TwoNN(discard_fraction=0.1), numpy float64; 'repeated' after numpy.unique(axis=0).
# DADApy 0.3.4, Data.compute_id_2NN(mu_fraction=0.9), gives the same to 9 digits.
INDEPENDENT = {
    "ball": 4.64666126779848,
    "gauss": 16.547852211689897,
    "curve": 3.3359236452020817,
    "repeated": 17.214294498981623,
    "massive": 16.547852199198356,
}
# intrinsic_dimension of AIRI-Institute/LLM-Microscope, LLM_microscope.ipynb, with its device set to the CPU.
REFERENCE = {
    "ball": 4.8551065941191585,
    "gauss": 16.324964990291313,
    "curve": 3.0366525795838006,
    "repeated": 89.24572656298224,
    "massive": 16.324964990291765,
}
REFERENCE_FLOAT32 = {
    "ball": 4.855106306038219,
    "gauss": 16.32496515824599,
    "curve": 3.0366585524826077,
    "repeated": 89.24571949327687,
    "massive": 16.333757329739846,
}


def slow(points):
    """TwoNN with loops, as its definition reads."""
    ratios = []
    for place, point in enumerate(points):
        gaps = sorted((point - other).norm().item() for index, other in enumerate(points) if index != place)
        ratios.append(gaps[1] / gaps[0])
    ratios.sort()
    fitted = [
        (math.log(mu), -math.log(1 - i / len(ratios))) for i, mu in enumerate(ratios, 1) if i <= 0.9 * len(ratios)
    ]
    return sum(x * y for x, y in fitted) / sum(x * x for x, _ in fitted)


def test_a_value_by_hand():
    # Ten points in five pairs, so far apart that each point's second neighbour is about its pair's distance away:
    # every ratio is the same mu, and the slope is the mean of -log(1 - i / 10), i = 1..9, over log mu.
    pairs = torch.tensor([[0.0], [1.0], [3.0], [4.0], [6.0], [7.0], [9.0], [10.0], [12.0], [13.0]]).double()
    heights = [-math.log(1 - i / 10) for i in range(1, 10)]
    # The outermost two have r2 = 3, r1 = 1; the inner eight r2 = 2, r1 = 1, and these come first.
    logs = [math.log(2)] * 8 + [math.log(3)]
    expected = sum(x * y for x, y in zip(logs, heights, strict=True)) / sum(x * x for x in logs)
    estimate = twonn(Cloud(pairs))[""]
    assert estimate.value == pytest.approx(expected, rel=1e-9)
    assert estimate.std_error == pytest.approx(expected / math.sqrt(10))


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_a_uniform_ball_has_its_dimension(ball, dimension):
    estimate = twonn(Cloud(ball(3000, dimension, 20)))[""]
    assert estimate.value == pytest.approx(dimension, rel=0.06)


def test_the_value_is_that_of_the_slow_twin(gaussian):
    points = gaussian(120, 7)
    assert twonn(Cloud(points))[""].value == pytest.approx(slow(points), rel=1e-9)


@pytest.mark.parametrize("name", INDEPENDENT)
def test_independent_implementations_agree(golden, name):
    assert twonn(Cloud(golden[name]))[""].value == pytest.approx(INDEPENDENT[name], rel=1e-8)


@pytest.mark.parametrize("name", REFERENCE)
def test_the_released_procedure_is_the_reference_implementations(golden, name):
    assert twonn_as_released(Cloud(golden[name]))[""].value == pytest.approx(REFERENCE[name], rel=1e-6, abs=1e-5)
    single = twonn_as_released(Cloud(golden[name].float()))[""]
    assert single.value == pytest.approx(REFERENCE_FLOAT32[name], rel=1e-6, abs=1e-5)


def test_the_released_procedure_counts_the_repeated_points_it_left_out(golden):
    # 200 points repeat 200 others: those 400 have r1 = 0, and others among the first 400 are repeated too.
    repeated = golden["repeated"]
    zero = sum(bool(((repeated - point).abs().sum(dim=1) == 0).sum() > 1) for point in repeated)
    estimate = twonn_as_released(Cloud(repeated))[""]
    assert zero == 400
    assert estimate.n_used + estimate.n_dropped == 1000
    assert estimate.n_dropped >= zero


def test_repeated_points_inflate_the_released_value_and_not_the_corrected_one(gaussian):
    points = gaussian(4096, 10)
    clean = twonn(Cloud(points))[""].value
    points[:200] = points[0]
    corrected, released = twonn(Cloud(points))[""], twonn_as_released(Cloud(points))[""]
    assert corrected.value == pytest.approx(clean, rel=0.04)
    assert (corrected.n_used, corrected.n_dropped) == (3897, 199)
    assert released.value > 1.25 * clean


@pytest.mark.parametrize(("dimension", "low", "high"), [(2, 1.9, 2.1), (10, 9.5, 10.3), (20, 16.4, 17.8), (50, 30, 35)])
def test_a_gaussian_is_underestimated_above_about_fifteen_dimensions(gaussian, dimension, low, high):
    estimates = twonn(Cloud(gaussian(4096, dimension)))
    assert low < estimates[""].value < high
    assert low < estimates["gaussian"].value < high


def test_the_gaussian_twin_tells_a_curve_from_its_spectrum():
    angle = torch.rand(1000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 6
    curve = torch.cat([torch.sin(angle * k) for k in range(1, 8)], dim=1)
    estimates = twonn(Cloud(curve))
    assert estimates[""].value == pytest.approx(1, abs=0.1)
    assert estimates["gaussian"].value > 4


def test_the_error_is_near_the_spread_over_samples(gaussian):
    found = [twonn(Cloud(gaussian(400, 4, seed)))[""] for seed in range(40)]
    values = torch.tensor([one.value for one in found])
    errors = torch.tensor([one.std_error for one in found])
    assert 0.8 < values.std() / errors.mean() < 1.7


def test_the_same_cloud_gives_the_same_gaussian_value_twice(gaussian):
    first, second = (twonn(Cloud(gaussian(200, 5)))["gaussian"] for _ in range(2))
    assert first == second
