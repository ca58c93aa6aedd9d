"""The Gaussian cloud beside a cloud."""

import torch

from service.measures import Cloud
from service.measures.gaussian_twin import gaussian_twin
from service.measures.spectrum import axes
from service.results import Moments


def test_it_has_as_many_points_as_the_cloud_has_distinct_ones_and_its_spectrum_up_to_scale(gaussian):
    stretch = torch.tensor([5.0, 3, 1, 0.5], dtype=torch.float64)
    points = gaussian(4000, 4) * stretch
    points[:500] = points[500:1000]
    twin = gaussian_twin(Cloud(points @ torch.linalg.qr(gaussian(4, 4, 1)).Q + 7))
    assert twin.points.shape == (3500, 4)
    found = axes(twin).values
    torch.testing.assert_close(found / found[0], (stretch / 5).square(), rtol=0.12, atol=0)


def test_it_is_drawn_once_and_the_same_for_the_same_cloud(gaussian):
    cloud = Cloud(gaussian(30, 3))
    assert gaussian_twin(cloud) is gaussian_twin(cloud)
    assert torch.equal(gaussian_twin(cloud).points, gaussian_twin(Cloud(gaussian(30, 3))).points)


def test_it_follows_the_streamed_spectrum_and_leaves_out_directions_that_are_not_there(gaussian):
    moments = Moments(999, torch.zeros(3).double(), torch.tensor([4.0, 1.0, 0.0]).double())
    twin = gaussian_twin(Cloud(gaussian(5000, 3), None, moments))
    assert twin.points.shape == (5000, 2)
    assert 0.22 < axes(twin).values[1] / axes(twin).values[0] < 0.28
