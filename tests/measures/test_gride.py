"""The dimension as a function of scale."""

import math

import pytest
import torch
from scipy.optimize import minimize_scalar

from service.measures import Cloud
from service.measures.gride import SCALES, gride, likeliest
from service.measures.neighbours import neighbour_distances

# DADApy 0.3.4, Data.return_id_scaling_gride(range_max=128), float64: values and errors at scales 1, 2, 4, ..., 64.
INDEPENDENT = {
    "ball": (
        [
            4.692320233026723,
            4.975033802669992,
            4.8324023004529,
            4.577645260313206,
            4.441737609322678,
            4.266820212527964,
            4.078632995713998,
        ],
        [
            0.1483841944725649,
            0.11337064831745894,
            0.07807784800524666,
            0.05227071965374153,
            0.035846876150322074,
            0.024341787934785534,
            0.016450149509652238,
        ],
    ),
    "curve": (
        [
            3.3293838605708155,
            2.5017953248347906,
            1.5785111037387105,
            1.1810676716125748,
            1.015819488948939,
            0.9995194975480262,
            0.9966080114682845,
        ],
        [
            0.10528436204408244,
            0.056987274302736195,
            0.02549105467304482,
            0.013480325251180704,
            0.008198275336006157,
            0.005702234205854544,
            0.004021253929172287,
        ],
    ),
    "repeated": (
        [
            17.68076988127703,
            16.533768289844943,
            15.383288561320775,
            14.211406770395726,
            13.305108575506043,
            11.902760591956874,
            10.379942544976391,
        ],
        [
            0.6251096139824928,
            0.4213100450668472,
            0.2779541442325689,
            0.18139328878700509,
            0.12004525718273538,
            0.0759173945456626,
            0.04680659446081954,
        ],
    ),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_an_independent_implementation_agrees(golden, name):
    found = gride(Cloud(golden[name]))
    for scale, value, error in zip(SCALES, *INDEPENDENT[name], strict=True):
        assert found[f"scale-{scale}"].value == pytest.approx(value, rel=1e-6)
        assert found[f"scale-{scale}"].std_error == pytest.approx(error, rel=1e-5)


def test_scale_one_is_two_nearest_neighbours_by_maximum_likelihood(gaussian):
    cloud = Cloud(gaussian(500, 6))
    near = neighbour_distances(cloud, 2)
    expected = 499 / (near.at(2) / near.at(1)).log().sum().item()
    assert gride(cloud)["scale-1"].value == pytest.approx(expected, rel=1e-9)
    assert gride(cloud)["scale-1"].std_error == pytest.approx(expected / math.sqrt(500))


def test_the_maximum_is_where_a_search_over_the_density_finds_it(gaussian):
    near = neighbour_distances(Cloud(gaussian(5000, 3)), 16)
    ratios = near.at(16) / near.at(8)

    def unlikely(d):
        return -(math.log(d) + 7 * (ratios**d - 1).log() - (15 * d + 1) * ratios.log()).mean().item()

    found = minimize_scalar(unlikely, bounds=(0.5, 20), method="bounded", options={"xatol": 1e-8}).x
    values, _ = likeliest(ratios.log()[:, None], torch.tensor([8.0], dtype=torch.float64))
    assert values.item() == pytest.approx(found, rel=1e-3)


def test_a_uniform_ball_has_its_dimension_at_small_scales(ball):
    found = gride(Cloud(ball(3000, 3, 10)))
    for scale in SCALES[:5]:
        assert found[f"scale-{scale}"].value == pytest.approx(3, rel=0.08)


def test_noise_about_a_curve_is_seen_at_small_scales_only(golden):
    found = gride(Cloud(golden["curve"]))
    assert found["scale-1"].value > 3
    assert found["scale-64"].value == pytest.approx(1, abs=0.05)


def test_every_scale_has_a_gaussian_beside_it(gaussian):
    found = gride(Cloud(gaussian(500, 4)))
    assert list(found) == [f"scale-{k}" for k in SCALES] + [f"scale-{k}-gaussian" for k in SCALES]
    for scale in SCALES:
        assert found[f"scale-{scale}-gaussian"].value == pytest.approx(found[f"scale-{scale}"].value, rel=0.2)


def test_a_scale_that_needs_more_points_than_there_are_says_so(gaussian):
    found = gride(Cloud(gaussian(64, 4)))
    assert found["scale-16"].value > 0
    assert found["scale-32"].note == "needs more than 64 distinct points; the cloud has 64"
    assert found["scale-64"].note == "needs more than 128 distinct points; the cloud has 64"


def test_neighbours_at_one_distance_leave_a_scale_undefined():
    assert gride(Cloud(torch.eye(40)))["scale-2"].note == "neighbours 2 and 4 are equally far from every point"
