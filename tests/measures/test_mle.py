"""The Levina-Bickel estimate."""

import math

import pytest

from service.measures import Cloud
from service.measures.mle import mle

# scikit-dimension 0.4.2, float64, 1 / mean(1 / MLE().fit_transform_pw(x, n_neighbors=20)); repeated rows dropped first.
INDEPENDENT = {
    "ball": 4.6466578468093465,
    "gauss": 14.88934510767352,
    "curve": 1.3181096831648254,
    "repeated": 14.744974143554053,
    "massive": 14.889345100615415,
}


def slow(points, k=20):
    inverse = []
    for place, point in enumerate(points):
        gaps = sorted((point - other).norm().item() for index, other in enumerate(points) if index != place)[:k]
        inverse.append(sum(math.log(gaps[-1] / gap) for gap in gaps[:-1]) / (k - 1))
    return len(inverse) / sum(inverse)


def test_the_value_is_that_of_the_slow_twin(gaussian):
    points = gaussian(60, 6)
    assert mle(Cloud(points))[""].value == pytest.approx(slow(points), rel=1e-9)


@pytest.mark.parametrize("name", INDEPENDENT)
def test_an_independent_implementation_agrees(golden, name):
    assert mle(Cloud(golden[name]))[""].value == pytest.approx(INDEPENDENT[name], rel=1e-8)


@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_a_uniform_ball_has_its_dimension(ball, dimension):
    assert mle(Cloud(ball(3000, dimension, 12)))[""].value == pytest.approx(
        dimension, rel=0.1
    )  # the edge takes a little


@pytest.mark.parametrize(("dimension", "value"), [(5, 5.05), (10, 9.33), (20, 15.7), (50, 27.6)])
def test_a_gaussian_has_its_known_underestimate(gaussian, dimension, value):
    assert mle(Cloud(gaussian(4096, dimension)))[""].value == pytest.approx(value, rel=0.07)


def test_repeated_points_are_dropped_and_counted(golden):
    estimate = mle(Cloud(golden["repeated"]))[""]
    assert (estimate.n_used, estimate.n_dropped) == (800, 200)
