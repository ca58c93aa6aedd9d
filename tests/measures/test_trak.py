"""TRAK's scores: by hand, by another implementation, and against what taking an example away really does."""

from __future__ import annotations

import attribution_case as case
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from service.errors import BadInput, BadShape
from service.measures.trak import (
    TrakMember,
    ensemble_trak_scores,
    projected_kernel,
    self_influence,
    soft_thresholded,
    threshold_keeping,
    trak_scores,
)


def drawn(*shape, seed=0):
    """Standard Gaussian numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def doubts(count, seed=9):
    """Numbers between 0 and 1."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_two_examples_of_two_dimensions_by_hand():
    train = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    test = torch.tensor([[1.0, 3.0]])
    # the kernel's inverse is diag(1 / 4, 1 / 2)
    expected = torch.tensor([[2 / 4 * 0.5, 3 / 2 * 1.0, 3 / 2 * 0.1]], dtype=torch.float64)
    assert torch.allclose(trak_scores(train, test, torch.tensor([0.5, 1.0, 0.1])), expected)
    # its mean diagonal is 3: a ridge of 1 / 3 adds 1
    expected = torch.tensor([[2 / 5 * 0.5, 3 / 3 * 1.0, 3 / 3 * 0.1]], dtype=torch.float64)
    assert torch.allclose(trak_scores(train, test, torch.tensor([0.5, 1.0, 0.1]), ridge=1 / 3), expected)


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_a_slow_twin_with_an_inverse(ridge):
    train, test, doubt = drawn(30, 6), drawn(4, 6, seed=1), doubts(30)
    gram = train.T @ train
    inverse = torch.linalg.inv(gram + ridge * gram.trace() / 6 * torch.eye(6))
    slow = torch.tensor([[(z @ inverse @ one * q).item() for one, q in zip(train, doubt, strict=True)] for z in test])
    assert torch.allclose(trak_scores(train, test, doubt, ridge), slow.double(), atol=1e-6)
    own = trak_scores(train, train, doubt, ridge).diagonal()
    assert torch.allclose(self_influence(train, doubt, ridge), own)


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_neither_scale_nor_basis_of_the_features_matters(seed, scale):
    train, test, doubt, mixing = drawn(25, 5, seed=seed), drawn(3, 5, seed=seed + 1), doubts(25), drawn(5, 5, seed=2)
    plain = trak_scores(train, test, doubt)
    assert torch.allclose(trak_scores(train * scale, test * scale, doubt), plain, rtol=1e-6, atol=1e-9)
    assert torch.allclose(trak_scores(train @ mixing, test @ mixing, doubt), plain, rtol=1e-5, atol=1e-8)
    ridged = trak_scores(train, test, doubt, 0.3)
    turn = torch.linalg.qr(mixing).Q
    assert torch.allclose(
        trak_scores(scale * train @ turn, scale * test @ turn, doubt, 0.3), ridged, rtol=1e-6, atol=1e-9
    )
    order = torch.randperm(25, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(trak_scores(train[order], test, doubt[order]), plain[:, order])
    if seed > 0:  # a wrong invariance is seen to fail: with a ridge the basis does matter
        assert not torch.allclose(trak_scores(train @ mixing, test @ mixing, doubt, 0.3), ridged, rtol=1e-3)


def test_as_released_every_networks_inverse_has_entries_of_the_mean_size_1():
    members = [TrakMember(drawn(30, 6, seed=k) * 10**k, drawn(4, 6, seed=k + 5), doubts(30, k)) for k in range(3)]
    kernels = []
    for one in members:
        inverse = torch.linalg.inv(one.train_features.T @ one.train_features)
        kernels.append(one.test_features @ (inverse / inverse.abs().mean()) @ one.train_features.T)
    expected = torch.stack(kernels).mean(0) * torch.stack([one.one_minus_p for one in members]).mean(0)
    assert torch.allclose(ensemble_trak_scores(members, evened=True), expected)
    assert not torch.allclose(ensemble_trak_scores(members), expected)


def test_leverages_are_between_0_and_1_and_add_up_to_the_width():
    leverage = self_influence(drawn(40, 7), torch.ones(40))
    assert leverage.sum().item() == pytest.approx(7)
    assert leverage.min() > 0
    assert leverage.max() < 1


def test_an_ensemble_averages_kernels_and_doubts_by_themselves():
    members = [TrakMember(drawn(20, 4, seed=s), drawn(3, 4, seed=s + 50), doubts(20, s)) for s in range(3)]
    kernels = [projected_kernel(one.train_features, one.test_features) for one in members]
    expected = sum(kernels) / 3 * sum(one.one_minus_p for one in members) / 3
    assert torch.allclose(ensemble_trak_scores(iter(members)), expected)
    one = members[0]
    alone = trak_scores(one.train_features, one.test_features, one.one_minus_p)
    assert torch.allclose(ensemble_trak_scores([one, one]), alone)
    mean = sum(trak_scores(one.train_features, one.test_features, one.one_minus_p) for one in members) / 3
    assert not torch.allclose(expected, mean, rtol=1e-2)


def test_the_scores_are_dattri_s_and_but_for_one_factor_those_of_the_released_code():
    members = [TrakMember(*one) for one in zip(case.TRAIN, case.TEST, case.ONE_MINUS_P, strict=True)]
    alone = ensemble_trak_scores(members[:1])
    assert torch.allclose(alone, case.DATTRI_OF_ONE, atol=2e-6)
    assert torch.allclose(ensemble_trak_scores(members), case.DATTRI_OF_BOTH, atol=2e-6)
    factor = case.TRAKER_OF_ONE / alone
    assert torch.allclose(factor, factor.mean().expand_as(factor), rtol=2e-3)


def fitted(points, signs, ridge, start=None, steps=30):
    """The logistic regression through the origin, by Newton's method."""
    weights = torch.zeros(points.shape[1], dtype=torch.float64) if start is None else start.clone()
    for _ in range(steps):
        chance = torch.sigmoid(signs * (points @ weights))
        slope = points.T @ (signs * (1 - chance)) - ridge * weights
        curvature = (points * (chance * (1 - chance))[:, None]).T @ points + ridge * torch.eye(points.shape[1])
        weights = weights + torch.linalg.solve(curvature, slope)
    return weights


def test_scores_rank_as_training_without_each_example_does():
    """Logistic regression, where leaving one out can be done: f is the margin y (w . x), its gradient y x."""
    draw, true = drawn(120, 5, seed=3), torch.tensor([1.0, -0.5, 0.3, 0, 0], dtype=torch.float64)
    signs = torch.where(torch.sigmoid(draw @ true) > doubts(120), 1.0, -1.0).double()
    tests = drawn(6, 5, seed=4)
    weights = fitted(draw, signs, 1e-6)
    chance = torch.sigmoid(signs * (draw @ weights))
    keep = ~torch.eye(120, dtype=torch.bool)
    without = torch.stack([fitted(draw[rows], signs[rows], 1e-6, weights, 8) for rows in keep])
    fall = (tests @ weights)[:, None] - tests @ without.T
    scores = trak_scores(signs[:, None] * draw, tests, 1 - chance)
    found = [spearmanr(score, real).statistic for score, real in zip(scores, fall, strict=True)]
    assert min(found) > 0.9  # TRAK leaves out the curvature p (1 - p) and the leverage
    # one Newton step with both is the real thing nearly
    curvature = (draw * (chance * (1 - chance))[:, None]).T @ draw
    leverage = (draw @ torch.linalg.inv(curvature) * draw).sum(1) * chance * (1 - chance)
    newton = tests @ torch.linalg.inv(curvature) @ (signs[:, None] * draw).T * (1 - chance) / (1 - leverage)
    assert min(spearmanr(score, real).statistic for score, real in zip(newton, fall, strict=True)) > 0.995


def test_least_squares_without_an_example_is_exact():
    """Where every p is the same, and leverages are divided out, the kernel is the change of a linear regression itself."""
    points, targets, tests = drawn(40, 3), drawn(40, seed=5), drawn(4, 3, seed=6)
    solved = torch.linalg.lstsq(points, targets[:, None]).solution[:, 0]
    residuals = targets - points @ solved
    leverage = self_influence(points, torch.ones(40))
    exact = []
    for row in range(40):
        keep = torch.arange(40) != row
        exact.append(tests @ (solved - torch.linalg.lstsq(points[keep], targets[keep, None]).solution[:, 0]))
    assert torch.allclose(projected_kernel(points, tests) * residuals / (1 - leverage), torch.stack(exact, dim=1))


def test_soft_thresholding_by_hand():
    scores = torch.tensor([[3.0, -2.0], [0.5, -0.25]])
    assert soft_thresholded(scores, 1.0).tolist() == [[2.0, -1.0], [0.0, 0.0]]
    assert torch.equal(soft_thresholded(scores, 0.0), scores)
    for share, kept in ((0.0, 0), (0.5, 2), (1.0, 4)):
        assert (soft_thresholded(scores, threshold_keeping(scores, share)) != 0).sum() == kept
    with pytest.raises(BadInput, match=r"^a share is between 0 and 1; got 2.0$"):
        threshold_keeping(scores, 2.0)


def test_what_has_no_scores_is_refused():
    wide = drawn(4, 6)
    with pytest.raises(
        BadInput,
        match=r"^4 gradients do not span their 6 dimensions: project to fewer than there are examples, or give a ridge$",
    ):
        trak_scores(wide, wide, torch.ones(4))
    repeated = drawn(20, 3)[:, [0, 1, 2, 2]].float()
    with pytest.raises(BadInput, match="20 gradients do not span their 4 dimensions"):
        trak_scores(repeated, repeated, torch.ones(20))
    assert torch.isfinite(trak_scores(repeated, repeated, torch.ones(20), 1e-3)).all()
    assert torch.isfinite(self_influence(wide, torch.ones(4), 1e-3)).all()
    with pytest.raises(BadInput, match=r"^the gradients of some training examples are not finite$"):
        trak_scores(torch.full((4, 2), torch.nan), wide[:, :2], torch.ones(4))
    with pytest.raises(BadInput, match=r"^a ridge is not negative; got -1.0$"):
        trak_scores(wide, wide, torch.ones(4), -1.0)
    with pytest.raises(BadShape, match=r"^features need one width; got 2 and 6$"):
        projected_kernel(wide[:, :2], wide)
    with pytest.raises(BadInput, match=r"^an ensemble needs one member at least$"):
        ensemble_trak_scores([])
