"""Classical scaling: Euclidean distances come back exactly, its laws, an independent implementation, and its refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import ClassicalMDS

from service.errors import BadShape
from service.measures.classical_scaling import classical_scaling


def apart(points):
    """All distances, by subtraction: exactly symmetric, exactly 0 on the diagonal."""
    return (points[:, None] - points[None]).norm(dim=-1)


def not_euclidean(objects=9, seed=0):
    """Distances that no Euclidean space has: random ones between 1 and 2, which all the same obey the triangle inequality."""
    draw = torch.Generator().manual_seed(seed)
    upper = torch.triu(1 + torch.rand(objects, objects, generator=draw, dtype=torch.float64), diagonal=1)
    return upper + upper.T


def test_a_triangle_of_sides_3_4_and_5_by_hand():
    found = classical_scaling(torch.tensor([[0.0, 3, 4], [3, 0, 5], [4, 5, 0]]), 2)
    assert apart(found.places).flatten().tolist() == pytest.approx([0, 3, 4, 3, 0, 5, 4, 5, 0], abs=1e-12)
    assert found.places.mean(0).abs().max() < 1e-12
    assert found.kept == pytest.approx(1)
    # The sum over pairs of d^2 / n is the trace 50 / 3; the product of the two eigenvalues is (twice the area)^2 / n = 48.
    first = (50 / 3 + math.sqrt((50 / 3) ** 2 - 4 * 48)) / 2
    line = classical_scaling(torch.tensor([[0.0, 3, 4], [3, 0, 5], [4, 5, 0]]), 1)
    assert line.places.square().sum().item() == pytest.approx(first)
    assert line.kept == pytest.approx(first / (50 / 3))


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_euclidean_distances_are_recovered_in_as_many_dimensions_as_their_points_have(gaussian, dimension):
    distances = apart(gaussian(20, dimension))
    found = classical_scaling(distances, dimension)
    assert torch.allclose(apart(found.places), distances, atol=1e-10)
    assert found.kept == pytest.approx(1, abs=1e-12)
    if dimension > 1:
        assert classical_scaling(distances, dimension - 1).kept < 0.99


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.01, 100))
def test_turning_and_shifting_the_points_moves_nothing_and_scaling_them_scales_the_picture(gaussian, seed, factor):
    points = gaussian(12, 4, seed) * torch.tensor([4.0, 3, 2, 1])
    turn = torch.linalg.qr(gaussian(4, 4, seed + 1)).Q
    found = classical_scaling(apart(points), 3)
    turned = classical_scaling(apart(factor * points @ turn + 7), 3)
    assert turned.kept == pytest.approx(found.kept)
    assert torch.allclose(apart(turned.places), factor * apart(found.places), rtol=1e-6, atol=1e-6 * factor)


def test_permuting_the_objects_permutes_their_places():
    distances, order = not_euclidean(), torch.randperm(9, generator=torch.Generator().manual_seed(1))
    found, permuted = classical_scaling(distances), classical_scaling(distances[order][:, order])
    assert torch.allclose(permuted.places, found.places[order], atol=1e-10)
    assert permuted.kept == pytest.approx(found.kept)


def test_the_largest_entry_of_an_axis_is_positive_and_the_first_of_two_equal_ones():
    found = classical_scaling(not_euclidean(), 3).places
    assert (found.gather(0, found.abs().argmax(0, keepdim=True)) > 0).all()
    pair = torch.tensor([[0.0, 2], [2, 0]])
    assert classical_scaling(pair, 1).places.flatten().tolist() == pytest.approx([1, -1])
    rectangle = apart(torch.tensor([[3.0, 1], [-3, 1], [3, -1], [-3, -1]]))
    assert torch.allclose(
        classical_scaling(rectangle).places[0], torch.tensor([3.0, 1], dtype=torch.float64), atol=1e-6
    )


@pytest.mark.parametrize("distances", [not_euclidean(), not_euclidean(14, 3)])
def test_scikit_learn_finds_the_same_places(distances):
    ours = classical_scaling(distances, 3).places.numpy()
    theirs = ClassicalMDS(3, metric="precomputed").fit_transform(distances.numpy())
    assert np.allclose(ours, theirs * np.sign((ours * theirs).sum(0)), atol=1e-10)


def test_what_is_kept_counts_negative_eigenvalues_as_lost():
    distances = not_euclidean().numpy()
    centre = np.eye(9) - 1 / 9
    sizes = np.sort(np.linalg.eigvals(-centre @ distances**2 @ centre / 2).real)[::-1]
    assert sizes[-1] < -0.1
    for dimensions in (1, 2, 4):
        kept = classical_scaling(torch.from_numpy(distances), dimensions).kept
        assert kept == pytest.approx(sizes[:dimensions].sum() / np.abs(sizes).sum())
    positive = sizes[sizes > 0].sum() / np.abs(sizes).sum()
    whole = classical_scaling(torch.from_numpy(distances), 9)
    assert whole.kept == pytest.approx(positive)
    assert not whole.places[:, sizes < -1e-9].any()


def test_axes_that_there_are_not_are_0_and_objects_on_one_spot_keep_everything():
    pair = classical_scaling(torch.tensor([[0.0, 2], [2, 0]]), 4)
    assert pair.places.shape == (2, 4)
    assert apart(pair.places)[0, 1].item() == pytest.approx(2)
    for spots in (1, 3):
        found = classical_scaling(torch.zeros(spots, spots))
        assert (found.places.tolist(), found.kept) == ([[0, 0]] * spots, 1.0)


@pytest.mark.parametrize(
    ("distances", "said"),
    [
        ([[0.0, 1.0]], r"a square matrix of one object or more; got shape \(1, 2\)"),
        ([[0.0, float("nan")], [1.0, 0.0]], "need to be finite; got NaN or infinity"),
        ([[0.0, float("inf")], [float("inf"), 0.0]], "need to be finite"),
        ([[0.0, 1.0], [2.0, 0.0]], "need to be symmetric; got 1 from 0 to 1 and 2 back"),
        ([[0.0, -1.0], [-1.0, 0.0]], "a distance is 0 or more; got -1 from 0 to 1"),
        ([[0.0, 1.0], [1.0, 0.5]], "at distance 0 from itself; got 0.5 for 1"),
    ],
)
def test_what_are_no_distances_is_refused_and_why(distances, said):
    with pytest.raises(BadShape, match=said):
        classical_scaling(torch.tensor(distances))
    with pytest.raises(BadShape, match="1 dimension or more; got 0"):
        classical_scaling(torch.zeros(2, 2), 0)


def test_the_rounding_of_float32_is_no_asymmetry():
    distances = not_euclidean().float()
    distances[0, 1] += 1e-7
    assert torch.allclose(classical_scaling(distances).places, classical_scaling(not_euclidean()).places, atol=1e-5)
