"""All layers on one plane: against scikit-learn's own PCA, one answer for one seed, and what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from service.errors import BadInput, UnknownName
from service.measures import joint_reduction as module
from service.measures.joint_reduction import REDUCTIONS, joint_reduction, thinned
from service.measures.layered import Layered


def clouds_of(states):
    place = torch.arange(states.shape[1])
    return Layered(tuple(range(len(states))), states, place // 10, place % 10, place % 10, place // 10)


def drifting(layers=3, points=20, width=6, seed=0):
    """Clouds that part with depth and have lengths of their own."""
    draw = torch.Generator().manual_seed(seed)
    own = torch.randn(layers, points, width, generator=draw)
    depth = torch.arange(1.0, layers + 1)[:, None, None]
    return clouds_of(depth * (own + 4 * torch.randn(layers, 1, width, generator=draw)))


@pytest.mark.parametrize("to_unit_length", [False, True])
@pytest.mark.parametrize("solver", ["full", "arpack"])
def test_pca_is_that_of_scikit_learn_on_the_same_matrix(to_unit_length, solver, monkeypatch):
    clouds = drifting()
    if solver == "arpack":
        monkeypatch.setattr(module, "FULL_SPECTRUM", 1)
    plane = joint_reduction(clouds, "pca", to_unit_length)
    matrix = clouds.states.reshape(60, 6).double().numpy()
    if to_unit_length:
        matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    fitted = PCA().fit(matrix)
    expected = fitted.transform(matrix)[:, :2].reshape(3, 20, 2)
    found = plane.places.numpy()
    signs = np.sign((found * expected).sum((0, 1)))
    assert np.allclose(found * signs, expected, atol=1e-5)
    assert plane.explained == pytest.approx(tuple(fitted.explained_variance_ratio_[:2]), abs=1e-6)


def test_points_on_a_plane_are_explained_by_it_and_on_a_line_by_its_first_axis():
    flat = drifting(width=2)
    assert sum(joint_reduction(flat, "pca", False).explained) == pytest.approx(1)
    line = joint_reduction(drifting(width=1), "pca", False)
    assert line.explained == (1.0, 0.0)
    assert not line.places[..., 1].any()


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_one_seed_gives_one_answer_layer_by_layer(reduction):
    clouds = drifting()
    first, again = (joint_reduction(clouds, reduction, True) for _ in range(2))
    assert torch.equal(first.places, again.places)
    assert first.places.shape == (3, 20, 2)
    assert torch.isfinite(first.places).all()
    assert (first.layers, first.from_layer, first.normalised) == ((0, 1, 2), 0, True)
    assert (first.explained is None) == (reduction != "pca")
    # Layers far apart stay apart: each point's nearest other is of its own layer.
    flat = first.places.reshape(60, 2)
    nearest = (torch.cdist(flat, flat) + torch.diag(torch.full((60,), torch.inf))).argmin(1)
    assert (nearest // 20 == torch.arange(60) // 20).float().mean() > 0.9


def test_the_number_of_threads_does_not_move_a_point():
    # Repeated points, as those of an embedding, let the last digit of a sum decide.
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(3, 200, 40, generator=draw) * torch.linspace(1, 0.05, 40)
    states += 0.1 * torch.arange(3)[:, None, None]
    states[0] = states[0, torch.randint(20, (200,), generator=draw)]
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(joint_reduction(clouds_of(states), "tsne", False).places)
    assert torch.equal(*found)


@pytest.mark.parametrize("reduction", ["tsne", "umap"])
def test_few_points_and_points_on_a_line_are_drawn_too(reduction):
    for clouds in (drifting(points=2), drifting(points=4, width=1)):
        assert torch.isfinite(joint_reduction(clouds, reduction, False).places).all()


def test_a_length_of_its_own_changes_nothing_once_vectors_are_normalised():
    clouds = drifting()
    longer = clouds.with_states(clouds.states * torch.linspace(1, 9, 20)[:, None])
    assert torch.allclose(
        joint_reduction(clouds, "pca", True).places, joint_reduction(longer, "pca", True).places, atol=1e-5
    )
    raw, longer_raw = (joint_reduction(one, "pca", False).places for one in (clouds, longer))
    assert not torch.allclose(raw, longer_raw, atol=0.1)


def test_without_the_embedding_the_plane_begins_at_layer_1():
    plane = joint_reduction(drifting().from_layer(1), "pca", False)
    assert (plane.layers, plane.from_layer, len(plane.places)) == ((1, 2), 1, 2)


def test_thinned_clouds_hold_the_same_tokens_at_every_layer():
    clouds = drifting()
    few = thinned(clouds, np.array([3, 7, 19]))
    assert torch.equal(few.states, clouds.states[:, [3, 7, 19]])
    assert few.char_end.tolist() == [3, 7, 9]


def test_what_cannot_be_drawn_is_refused_in_words():
    with pytest.raises(BadInput, match="a plane needs 6 points of all layers together; there are 3"):
        joint_reduction(drifting(points=1), "pca", False)
    with pytest.raises(BadInput, match="the 60 points of all layers do not differ"):
        joint_reduction(clouds_of(torch.ones(3, 20, 4)), "tsne", False)
    with pytest.raises(UnknownName, match="unknown reduction 'tnse': did you mean 'tsne'"):
        joint_reduction(drifting(), "tnse", False)
