"""Linearity between neighbouring layers."""

import pytest
import torch

from service.measures import Cloud
from service.measures.linearity import linearity, linearity_of_update
from service.measures.released_linearity import linearity_as_released, linearity_of_update_as_released

# procrustes_similarity and procrustes_similarity_centered of AIRI-Institute/LLM-Microscope, LLM_microscope.ipynb, from
# x to y = tanh(x) + x with its columns reversed / 2, float64.
REFERENCE = {
    "ball": (0.9978133336980843, 0.9887439115685452),
    "gauss": (0.9740010297479973, 0.9449236632970165),
    "curve": (0.996847701113565, 0.9897011900468824),
    "repeated": (0.9743008841042162, 0.9453967099679479),
    "massive": (0.9753661217186117, 0.9571733558707907),
}


def pair(points):
    return Cloud(torch.tanh(points) + points.flip(1) * 0.5, None, None, points)


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_the_reference_implementation_agrees_on_points_of_full_rank(golden, name, dtype, within):
    plain, update = REFERENCE[name]
    cloud = pair(golden[name])
    narrow = Cloud(cloud.points.to(dtype), None, None, cloud.previous.to(dtype))
    for measure, expected in (
        (linearity, plain),
        (linearity_as_released, plain),
        (linearity_of_update, update),
        (linearity_of_update_as_released, update),
    ):
        assert measure(narrow)[""].value == pytest.approx(
            expected, abs=within if name != "massive" else max(within, 1e-4)
        )


def test_a_value_by_hand():
    # y = x^2 on -1, 0, 1 has no linear part; y = x + x^2 has 2 of 2 + 2/3 squares.
    x = torch.tensor([[-1.0], [0], [1]])
    assert linearity(Cloud(x.square(), None, None, x))[""].value == pytest.approx(0, abs=1e-12)
    assert linearity(Cloud(x + x.square(), None, None, x))[""].value == pytest.approx(2 / (2 + 2 / 3))
    assert linearity_of_update(Cloud(2 * x + x.square(), None, None, x))[""].value == pytest.approx(2 / (2 + 2 / 3))


def test_a_linear_layer_has_one(gaussian):
    x = gaussian(100, 8)
    cloud = Cloud(x @ gaussian(8, 8, 1) + 5, None, None, x)
    assert linearity(cloud)[""].value == pytest.approx(1)
    assert linearity_of_update(cloud)[""].value == pytest.approx(1)


def test_unrelated_layers_have_as_much_as_chance_fits(gaussian):
    cloud = Cloud(gaussian(2000, 20, 1), None, None, gaussian(2000, 20))
    assert linearity(cloud)[""].value == pytest.approx(20 / 1999, rel=0.2)


def test_the_residual_stream_makes_plain_linearity_high_and_not_that_of_the_update(gaussian):
    x = gaussian(3000, 10)
    cloud = Cloud(x + 0.3 * torch.cos(3 * x), None, None, x)
    assert linearity(cloud)[""].value > 0.9
    assert linearity_of_update(cloud)[""].value < 0.1


def test_directions_that_are_rounding_explain_nothing(gaussian):
    low = gaussian(300, 5)
    x = (low @ gaussian(5, 60, 1)).float()
    y = gaussian(300, 60, 2).float()
    cloud = Cloud(y, None, None, x)
    assert linearity(cloud)[""].value == pytest.approx(5 / 299, abs=0.01)
    assert abs(linearity_as_released(cloud)[""].value - 5 / 299) > 0.05


def test_the_corrected_value_is_that_of_a_guarded_least_squares(gaussian):
    x, y = gaussian(60, 9), gaussian(60, 4, 1)
    x[:, 8] = x[:, 7]
    before, after = x - x.mean(dim=0), y - y.mean(dim=0)
    left = after - before @ torch.linalg.pinv(before, rtol=1e-6) @ after
    expected = 1 - (left.square().sum() / after.square().sum()).item()
    assert linearity(Cloud(y, None, None, x))[""].value == pytest.approx(expected)


def test_more_directions_than_points_fit_anything_and_the_note_says_so(gaussian):
    estimate = linearity(Cloud(gaussian(20, 50, 1), None, None, gaussian(20, 50)))[""]
    assert estimate.value == pytest.approx(1)
    assert estimate.note == "20 points and 19 directions to fit them with: 1 whatever the layer does"
    assert linearity(Cloud(gaussian(90, 50, 1), None, None, gaussian(90, 50)))[""].note is None


@pytest.mark.parametrize(
    "measure", [linearity, linearity_as_released, linearity_of_update, linearity_of_update_as_released]
)
def test_without_an_earlier_site_it_is_undefined(gaussian, measure):
    assert measure(Cloud(gaussian(20, 5)))[""].note == "no earlier site"


def test_sites_of_different_widths_have_linearity_but_no_update(gaussian):
    cloud = Cloud(gaussian(50, 6), None, None, gaussian(50, 4, 1))
    assert linearity(cloud)[""].value > 0
    expected = "the earlier site has width 4, this one 6: there is no update"
    assert linearity_of_update(cloud)[""].note == expected


def test_states_that_do_not_differ_are_undefined_and_say_where(gaussian):
    constant = torch.full((30, 4), 0.1, dtype=torch.float64)
    assert linearity(Cloud(gaussian(30, 4), None, None, constant))[""].note == (
        "the 30 points do not differ at the earlier site"
    )
    same = gaussian(30, 4)
    assert linearity_of_update(Cloud(same + 0, None, None, same))[""].note == "the update is the same at every point"
