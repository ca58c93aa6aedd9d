"""The rank of a classifier's weights, and what is left of it on few directions."""

from __future__ import annotations

import pytest
import torch
from clouds import some_clouds

from service.measures import weight_space
from service.measures.logistic_regression import logistic_regression
from service.measures.separation import flat


def test_what_all_classes_share_counts_for_nothing():
    base = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, -1.0, 0.0]])
    assert weight_space.weight_rank(base) == weight_space.weight_rank(base + torch.tensor([5.0, 7.0, 9.0])) == 2
    one = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    assert weight_space.weight_rank(one) == 1
    assert weight_space.weight_effective_rank(one) == pytest.approx(1.0)
    even = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert weight_space.weight_effective_rank(even) == pytest.approx(2.0)


def test_all_directions_are_the_classifier_and_the_first_is_of_rank_one():
    points, labels = flat(some_clouds(apart=2.0))
    classifier = logistic_regression(points, labels, 4)
    whole = weight_space.projected(classifier, 3)
    assert torch.equal(whole.predict(points), classifier.predict(points))
    assert weight_space.weight_rank(weight_space.projected(classifier, 1).weights) == 1
