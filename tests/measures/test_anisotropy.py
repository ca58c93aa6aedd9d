"""Anisotropy, with and without its centre, and the points it is owed to."""

import numpy as np
import pytest
import torch

from service.measures import Cloud
from service.measures.anisotropy import anisotropy, anisotropy_as_released, anisotropy_uncentred, outlier_share
from service.results import Moments

# calculate_anisotropy_torch of AIRI-Institute/LLM-Microscope, LLM_microscope.ipynb: float64 and float32.
REFERENCE = {
    "ball": (0.2208207994019221, 0.2208208590745926),
    "gauss": (0.09673571325636053, 0.09673561900854111),
    "curve": (0.2737078772338175, 0.2737078070640564),
    "repeated": (0.09411939761020838, 0.09411939233541489),
    "massive": (0.09673571325635978, 0.09673521667718887),
}


def test_a_value_by_hand():
    # About their mean the points are (+-3, 0) and (0, +-1): eigenvalues 18 / 4 and 2 / 4.
    cross = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]]) + torch.tensor([5.0, 7])
    assert anisotropy(Cloud(cross))[""].value == pytest.approx(18 / 20)


def test_a_line_has_one_and_an_even_cloud_one_over_its_width(gaussian):
    line = gaussian(100, 1) * torch.ones(1, 9)
    assert anisotropy(Cloud(line))[""].value == pytest.approx(1)
    frame = torch.cat([torch.eye(8), -torch.eye(8)])
    assert anisotropy(Cloud(frame))[""].value == pytest.approx(1 / 8)


def test_the_value_is_that_of_singular_values(gaussian):
    for shape in ((50, 8), (8, 50)):
        points = gaussian(*shape)
        squares = torch.linalg.svdvals(points - points.mean(dim=0)).square()
        assert anisotropy(Cloud(points))[""].value == pytest.approx((squares[0] / squares.sum()).item())


@pytest.mark.parametrize("name", REFERENCE)
def test_the_released_procedure_is_the_reference_implementations(golden, name):
    wide, narrow = REFERENCE[name]
    assert anisotropy_as_released(Cloud(golden[name]))[""].value == pytest.approx(wide, abs=1e-9)
    assert anisotropy_as_released(Cloud(golden[name].float()))[""].value == pytest.approx(narrow, abs=1e-6)


def test_all_tokens_count_where_their_moments_were_streamed(gaussian):
    streamed = Moments(5000, torch.zeros(3).double(), torch.tensor([6.0, 3.0, 1.0]).double())
    cloud = Cloud(gaussian(200, 3), None, streamed)
    assert anisotropy(cloud)[""].value == pytest.approx(0.6)
    assert anisotropy(cloud)[""].n_used == 5000
    assert anisotropy_as_released(cloud)[""].n_used == 200


def test_more_tokens_make_the_error_smaller_but_not_more_than_texts_allow(gaussian):
    points = gaussian(400, 4) * torch.tensor([3.0, 1, 1, 1])
    moments = Moments(40_000, torch.zeros(4).double(), torch.tensor([9.0, 1, 1, 1]).double())
    sampled, streamed = anisotropy(Cloud(points))[""], anisotropy(Cloud(points, None, moments))[""]
    assert streamed.std_error == pytest.approx(sampled.std_error / 10)
    texts = gaussian(20, 4).repeat_interleave(20, 0) * torch.tensor([3.0, 1, 1, 1])
    items = torch.arange(400) // 20
    same = [anisotropy(Cloud(texts, items, given))[""].std_error for given in (None, moments)]
    assert same[1] > 0.9 * same[0]


def test_the_error_is_the_spread_over_samples(gaussian):
    stretch = torch.tensor([3.0, 1, 1, 1, 1])
    found = [anisotropy(Cloud(gaussian(300, 5, seed) * stretch))[""] for seed in range(60)]
    values = torch.tensor([one.value for one in found])
    errors = torch.tensor([one.std_error for one in found])
    assert 0.75 < values.std() / errors.mean() < 1.3


def test_a_mean_far_from_the_origin_counts_without_the_centring_only(gaussian):
    points = gaussian(500, 10)
    away = points + 100
    assert anisotropy(Cloud(away))[""].value == pytest.approx(anisotropy(Cloud(points))[""].value)
    assert anisotropy_uncentred(Cloud(away))[""].value > 0.999
    by_hand = torch.tensor([[3.0, 0], [0, 1]])
    assert anisotropy_uncentred(Cloud(by_hand))[""].value == pytest.approx(0.9)


def test_one_massive_token_a_text_looks_like_a_line_and_is_told_apart(gaussian):
    # 128 of 14,000 isotropic 768-d vectors at norm 300 take anisotropy to 0.52.
    points = gaussian(14_000, 768, dtype=torch.float32)
    points[:128] = 0
    points[:128, 0] = 300
    cloud = Cloud(points)
    assert anisotropy(cloud)[""].value == pytest.approx(0.52, abs=0.01)
    assert outlier_share(cloud)[""].value > 0.98
    assert anisotropy(cloud.where(torch.arange(14_000) >= 128, None))[""].value < 0.003


def test_the_outlier_share_by_hand():
    line = torch.tensor([-1.0, 1] * 99 + [-10, 10])[:, None]
    # 200 points, of which 1 % are two: 200 of 398 squares.
    assert outlier_share(Cloud(line))[""].value == pytest.approx(200 / 398)


def test_a_gaussian_owes_eight_hundredths_of_its_spread_to_its_farthest_points(gaussian):
    assert outlier_share(Cloud(gaussian(20_000, 3)))[""].value == pytest.approx(0.0845, abs=0.004)


def stretched(points, width, spectrum, scale=1.0):
    """A Gaussian cloud whose covariance has this spectrum, turned at random."""
    draw = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(width, width, generator=draw, dtype=torch.float64)).Q
    cloud = torch.randn(points, width, generator=draw, dtype=torch.float64) * torch.tensor(spectrum).sqrt()
    return (cloud @ basis * scale).float()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e15, 1e30])
@pytest.mark.parametrize(
    "spectrum",
    [
        [1 / place for place in range(1, 301)],
        [1.0] * 300,  # no direction stands out
        [2.0, 2.0] + [0.5] * 298,  # two do alike
        [1e6] + [1e-6] * 299,
    ],
    ids=["power law", "round", "two alike", "line"],
)
@pytest.mark.parametrize("points", [250, 900])
def test_the_top_eigenvalue_found_alone_is_that_of_the_whole_spectrum(points, spectrum, scale):
    cloud = Cloud(stretched(points, 300, spectrum, scale))
    points = cloud.points.double().numpy()
    whole = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) ** 2
    value = anisotropy(cloud)[""].value
    assert value == pytest.approx(whole[0] / whole.sum(), rel=2e-6)
