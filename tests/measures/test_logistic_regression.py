"""The logistic regression is scikit-learn's, at its optimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clouds import some_clouds
from sklearn.linear_model import LogisticRegression

from service.errors import BadShape
from service.measures import logistic_regression as module
from service.measures.logistic_regression import Standardiser, logistic_regression
from service.measures.separation import flat


def sklearn_loss(points, labels, inverse_penalty):
    """scikit-learn's optimum in float64, as mean cross-entropy plus penalty."""
    inputs = Standardiser.of(points.double())(points.double()).numpy()
    fitted = LogisticRegression(C=inverse_penalty, tol=1e-9, max_iter=100_000).fit(inputs, labels.numpy())
    return objective(fitted.coef_, fitted.intercept_, inputs, labels.numpy(), inverse_penalty), fitted


def objective(weights, intercepts, inputs, labels, inverse_penalty):
    scores = inputs @ weights.T + intercepts
    scores -= scores.max(1, keepdims=True)
    entropy = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(labels)), labels]
    return entropy.mean() + (weights**2).sum() / (2 * inverse_penalty * len(labels))


@pytest.mark.parametrize("inverse_penalty", [100.0, 1.0, 0.01])
@pytest.mark.parametrize("apart", [0.5, 6.0])
def test_the_loss_is_that_of_scikit_learn_s_optimum(inverse_penalty, apart):
    points, labels = flat(some_clouds(apart=apart))
    points = points * torch.logspace(-3, 3, points.shape[1]) + 5  # units and places differ by dimension
    found = logistic_regression(points, labels, 4, inverse_penalty=inverse_penalty)
    expected, fitted = sklearn_loss(points, labels, inverse_penalty)
    assert found.converged
    assert found.loss == pytest.approx(expected, abs=1e-5)
    # the weaker the penalty, the flatter the optimum
    assert (
        np.abs(found.weights.numpy() - fitted.coef_).max()
        < max(1.0, inverse_penalty) * 2e-3 * np.abs(fitted.coef_).max()
    )
    inputs = found.standardise(points).double().numpy()
    stated = objective(
        found.weights.double().numpy(), found.intercepts.double().numpy(), inputs, labels.numpy(), inverse_penalty
    )
    assert stated == pytest.approx(found.loss, abs=1e-6)


def test_correlated_dimensions_and_a_massive_one_are_solved_too():
    draw = torch.Generator().manual_seed(1)
    points, labels = flat(some_clouds(apart=3.0, width=12))
    points = points @ (torch.randn(12, 12, generator=draw) + 20 * torch.ones(12, 12))
    points[:, 3] += 3000.0
    expected, _ = sklearn_loss(points, labels, 1.0)
    assert logistic_regression(points, labels, 4).loss == pytest.approx(expected, abs=1e-4)


def test_where_it_starts_and_how_it_is_conditioned_changes_nothing(monkeypatch):
    points, labels = flat(some_clouds(apart=2.0))
    cold = logistic_regression(points, labels, 4, tolerance=1e-6)
    elsewhere = logistic_regression(points[:900] * 3 - 7, labels[:900], 4)
    warm = logistic_regression(points, labels, 4, tolerance=1e-6, start=elsewhere)
    again = logistic_regression(points, labels, 4, tolerance=1e-6, start=cold)
    monkeypatch.setattr(module, "WIDEST", 0)
    plain = logistic_regression(points, labels, 4, tolerance=1e-6)
    for other in (warm, again, plain):
        assert other.loss == pytest.approx(cold.loss, abs=1e-6)
        assert torch.allclose(other.weights, cold.weights, atol=2e-3)
    assert again.steps < cold.steps / 2


def test_the_gradient_is_that_of_the_loss():
    points, labels = flat(some_clouds(texts=4, apart=1.0))
    problem = module._Problem(points.double(), labels, 4, 0.1)
    free = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    _, gradient = problem.evaluate(free)
    for place in ((0, 0), (3, 2), (6, 1)):
        nudge = torch.zeros_like(free)
        nudge[place] = 1e-5
        slope = (problem.evaluate(free + nudge)[0] - problem.evaluate(free - nudge)[0]) / 2e-5
        assert slope.item() == pytest.approx(gradient[place].item(), abs=1e-7)


def test_constant_points_and_a_single_class_are_refused():
    with pytest.raises(BadShape, match=r"^the states are constant: a classifier needs points that differ$"):
        logistic_regression(torch.full((10, 3), 4.0), torch.arange(10) % 2, 2)
    with pytest.raises(BadShape, match="points of two classes or more; got 1"):
        logistic_regression(torch.randn(10, 3), torch.zeros(10, dtype=torch.long), 2)


def test_a_dimension_that_does_not_vary_is_left_as_it_is():
    points, labels = flat(some_clouds(apart=4.0))
    constant = torch.cat([points, torch.full((len(points), 1), 9.0)], 1)
    found, without = logistic_regression(constant, labels, 4), logistic_regression(points, labels, 4)
    assert found.weights[:, -1].abs().max() == 0
    assert found.loss == pytest.approx(without.loss, abs=1e-6)
    assert torch.equal(found.predict(constant), without.predict(points))
