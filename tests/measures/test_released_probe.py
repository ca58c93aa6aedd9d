"""The released probe is plain SGD, and is far from the optimum."""

from __future__ import annotations

import pytest
import torch
from clouds import some_clouds

from service.measures.logistic_regression import logistic_regression
from service.measures.released_probe import BATCH, RATE, released_probe
from service.measures.separation import flat


def test_it_is_torch_s_own_sgd_step_by_step():
    points, labels = flat(some_clouds(apart=2.0, texts=80))
    found = released_probe(points, labels, 4, seed=3, epochs=2)
    generator = torch.Generator().manual_seed(3)
    bound = 6**-0.5
    weights = ((torch.rand(6, 4, generator=generator) * 2 - 1) * bound).requires_grad_()
    intercepts = ((torch.rand(4, generator=generator) * 2 - 1) * bound).requires_grad_()
    optimiser = torch.optim.SGD([weights, intercepts], lr=RATE)
    for _ in range(2):
        for batch in torch.randperm(len(points), generator=generator).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(points[batch] @ weights + intercepts, labels[batch]).backward()
            optimiser.step()
    assert torch.allclose(found.weights, weights.detach().T, atol=1e-6)
    assert torch.allclose(found.intercepts, intercepts.detach(), atol=1e-6)


def test_page_scaling_takes_one_mean_and_one_deviation_of_whatever_it_is_given():
    points, labels = flat(some_clouds(apart=2.0))
    probe = released_probe(points, labels, 4, scaling="page", epochs=3)
    assert torch.equal(probe.predict(points * 7 + 3), probe.predict(points))
    plain = released_probe(points, labels, 4, epochs=3)
    assert not torch.equal(plain.predict(points - 9), plain.predict(points))


def test_another_start_ends_elsewhere_for_it_does_not_converge():
    points, labels = flat(some_clouds(apart=1.0, width=12))
    ends = [released_probe(points, labels, 4, seed=seed, epochs=20) for seed in (0, 1)]
    assert (ends[0].weights - ends[1].weights).abs().max() > 0.1
    optimum = logistic_regression(points, labels, 4)
    right = [float((one.predict(points) == labels).float().mean()) for one in (*ends, optimum)]
    assert right[2] > max(right[:2])


@pytest.mark.parametrize("scaling", ["none", "page"])
def test_the_same_seed_gives_the_same_probe(scaling):
    points, labels = flat(some_clouds(apart=1.0, texts=5))
    one, other = (released_probe(points, labels, 4, 1, scaling, epochs=2) for _ in range(2))
    assert torch.equal(one.weights, other.weights)
