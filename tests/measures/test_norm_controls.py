"""Clouds without their norms, norms without directions, and random directions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from clouds import some_clouds

from service.measures import norm_controls
from service.measures.classifiers import CLASSIFIERS
from service.measures.separation import evaluated, flat


def of_norms(sizes):
    """Clouds whose layers differ in their norms alone."""
    clouds = norm_controls.unit_vectors(some_clouds(layers=len(sizes)))
    return replace(clouds, states=clouds.states * torch.tensor(sizes)[:, None, None])


def accuracy(change):
    clouds = change(of_norms([1.0, 2.0, 4.0]))
    return evaluated(CLASSIFIERS["logistic"](*flat(clouds), 3), clouds).accuracy


def test_layers_that_differ_in_their_norm_alone_are_told_by_the_norm_and_by_nothing_else():
    assert accuracy(norm_controls.norms_alone) == 1.0
    assert accuracy(norm_controls.unit_vectors) < 0.45


def test_unit_vectors_have_length_one_and_their_direction_and_a_zero_vector_stays():
    clouds = some_clouds()
    clouds.states[0, 0], clouds.states[0, 1] = 0, torch.arange(clouds.states.shape[2])
    found = norm_controls.unit_vectors(clouds)
    lengths = norm_controls.norms(found)
    assert lengths[0, 0] == 0
    assert lengths[1].tolist() == pytest.approx([1.0] * 300)
    assert found.states[0, 1].tolist() == pytest.approx((clouds.states[0, 1] / clouds.states[0, 1].norm()).tolist())


def test_random_directions_have_each_layer_s_own_norms_and_no_direction():
    clouds = of_norms([1.0, 2.0, 4.0])
    found = norm_controls.random_directions(clouds, 0)
    assert norm_controls.norms(found).mean(1).tolist() == pytest.approx([1.0, 2.0, 4.0], rel=1e-5)
    assert found.states[2].mean(0).norm() < 0.6
    assert torch.equal(found.states, norm_controls.random_directions(clouds, 0).states)


def test_the_released_control_takes_the_variance_for_the_deviation():
    clouds = some_clouds(texts=400, tokens=20)
    clouds = replace(clouds, states=10 * clouds.states)
    lengths = norm_controls.norms(clouds)
    drawn = norm_controls.norms(norm_controls.released_random_directions(clouds, 0))
    variance = lengths.var(1)
    expected = (
        variance.square() + lengths.mean(1).square()
    ).sqrt()  # norms lose their sign, so the second moment is asked
    assert drawn.square().mean(1).sqrt().tolist() == pytest.approx(expected.tolist(), rel=0.05)
    honest = norm_controls.norms(norm_controls.random_directions(clouds, 0))
    assert honest.var(1).tolist() == pytest.approx(variance.tolist(), rel=0.1)
