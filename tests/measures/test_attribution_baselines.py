"""Cosines and inner products by hand, and scores that say nothing."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from service.errors import BadShape
from service.measures.attribution_baselines import (
    gradient_cosine,
    gradient_dot,
    random_scores,
    representation_similarity,
)

TRAIN = torch.tensor([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])
TEST = torch.tensor([[1.0, 0.0], [-3.0, -4.0]])


def test_inner_products_and_cosines_by_hand():
    assert gradient_dot(TRAIN, TEST).tolist() == [[3.0, 0.0, 0.0], [-25.0, -8.0, 0.0]]
    expected = torch.tensor([[0.6, 0.0, 0.0], [-1.0, -0.8, 0.0]], dtype=torch.float64)
    assert torch.allclose(gradient_cosine(TRAIN, TEST), expected)


def test_tracin_is_a_sum_of_inner_products_of_loss_gradients():
    """-(1 - p) times the gradient of the margin is that of the cross-entropy."""
    doubt = torch.tensor([0.5, 0.1, 1.0])
    found = sum(rate * gradient_dot(-doubt[:, None] * TRAIN, TEST) for rate in (0.1, 0.3))
    assert torch.allclose(found[0], torch.tensor([-0.6, 0.0, 0.0], dtype=torch.float64))


def test_representations_are_compared_after_the_training_mean_is_taken_away():
    train = torch.tensor([[101.0, 100.0], [99.0, 100.0], [100.0, 102.0], [100.0, 98.0]])
    test = torch.tensor([[105.0, 100.0], [100.0, 100.0]])
    expected = torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(representation_similarity(train, test), expected, atol=1e-12)
    assert gradient_cosine(train, test).min() > 0.999  # what it would be without


def test_neither_shift_scale_nor_rotation_moves_the_similarity_of_representations():
    draw = torch.Generator().manual_seed(0)
    train, test = (torch.randn(count, 6, generator=draw, dtype=torch.float64) for count in (9, 4))
    turn = torch.linalg.qr(torch.randn(6, 6, generator=draw, dtype=torch.float64)).Q
    before = representation_similarity(train, test)
    assert torch.allclose(representation_similarity(5 * train @ turn + 3, 5 * test @ turn + 3), before)
    slow = [[cosine_similarity(z - train.mean(0), one - train.mean(0), dim=0) for one in train] for z in test]
    assert torch.allclose(before, torch.tensor(slow, dtype=torch.float64))


def test_random_scores_are_seeded():
    assert torch.equal(random_scores(3, 5, 1), random_scores(3, 5, 1))
    assert not torch.equal(random_scores(3, 5, 1), random_scores(3, 5, 2))
    assert random_scores(100, 100, 0).mean().abs() < 0.05


def test_other_widths_are_refused():
    for measure in (gradient_dot, gradient_cosine):
        with pytest.raises(BadShape, match=r"^features need one width; got 2 and 3$"):
            measure(TRAIN, torch.ones(1, 3))
    with pytest.raises(BadShape, match=r"^states need one width; got 2 and 3$"):
        representation_similarity(TRAIN, torch.ones(1, 3))
