"""Probes: scikit-learn's optimum, laws, scores by hand, whole items held out, and a control at chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from service.errors import BadShape
from service.measures.binary_scores import auroc, binary_scores
from service.measures.concept_probe import (
    GAUSSIAN_HALF,
    GAUSSIAN_NINE_TENTHS,
    Probe,
    correlation,
    cosine,
    l1_path,
    l2_probe,
    smallest_emptying_penalty,
)
from service.measures.item_folds import held_out, shuffled
from service.measures.logistic_regression import Standardiser


def planted(points=600, width=12, apart=1.5, seed=0):
    """Gaussian points of unlike dimensions, the positive ones `apart` further along two of them; 12 items of points."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.rand(points, generator=draw) < 0.4
    cloud = torch.randn(points, width, generator=draw)
    cloud[:, :2] += apart * labels[:, None]
    mixed = cloud @ torch.randn(width, width, generator=draw)
    return mixed * torch.logspace(-1, 2, width) + 3, labels, torch.arange(points) // (points // 12)


def sklearn_margins(train, labels, test, **options):
    inputs = Standardiser.of(train.double())
    model = LogisticRegression(tol=1e-8, max_iter=50_000, **options)
    model.fit(inputs(train.double()).numpy(), labels.numpy())
    return model, model.decision_function(inputs(test.double()).numpy())


@pytest.mark.parametrize("strength", [0.1, 1.0, 30.0])
def test_l2_is_scikit_learn_s_on_the_same_split(strength):
    points, labels, items = planted()
    held = held_out(items, labels, 0, 4)
    found = l2_probe(points[~held], labels[~held], strength)
    model, margins = sklearn_margins(points[~held], labels[~held], points[held], C=1 / strength)
    assert found.converged
    assert np.abs(found.standardised.numpy() - model.coef_[0]).max() < 2e-3 * np.abs(model.coef_).max()
    assert np.allclose(found.margins(points[held]).numpy(), margins, atol=5e-3)
    scores = binary_scores(found.margins(points[held]), labels[held])
    assert scores.accuracy == pytest.approx(((margins > 0) == labels[held].numpy()).mean())
    assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels[held].numpy(), margins > 0))
    assert scores.auroc == pytest.approx(roc_auc_score(labels[held].numpy(), margins), abs=1e-4)


def test_l1_is_scikit_learn_s_by_another_solver_and_sparser_the_stronger():
    points, labels, _ = planted(width=20)
    strengths = (1.01, 0.5, 0.1, 0.02)
    path = l1_path(points, labels, strengths)
    assert [one.nonzero for one in path] == sorted(one.nonzero for one in path)
    assert (path[0].nonzero, path[0].share_of_weights(0.5), path[0].penalty) == (0, None, "l1")
    assert path[-1].nonzero > path[1].nonzero > 0
    largest = smallest_emptying_penalty(points, labels)
    for one in path[1:]:
        model, margins = sklearn_margins(
            points, labels, points, C=1 / (one.strength * largest), l1_ratio=1, solver="saga", random_state=0
        )
        assert np.abs(one.standardised.numpy() - model.coef_[0]).max() < 5e-3
        assert np.allclose(one.margins(points).numpy(), margins, atol=1e-2)
        assert one.converged


def test_a_probe_is_of_raw_points_whatever_their_units_and_origin():
    points, labels, _ = planted()
    found = l2_probe(points, labels)
    moved = l2_probe(points * torch.logspace(2, -2, 12) - 40, labels)
    assert torch.allclose(found.margins(points), moved.margins(points * torch.logspace(2, -2, 12) - 40), atol=2e-2)
    assert found.direction.norm().item() == pytest.approx(1)
    assert torch.allclose(found.direction * found.weights.norm(), found.weights)


def test_a_rotation_changes_nothing_for_white_points_and_something_for_others():
    points, labels, _ = planted()
    white = points.double() - points.double().mean(0)
    white = (white @ torch.linalg.inv(torch.linalg.cholesky(white.T @ white / len(white))).T).float()
    turn = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(1))).Q
    plain, turned = l2_probe(white, labels, 50.0), l2_probe(white @ turn, labels, 50.0)
    assert torch.allclose(plain.margins(white), turned.margins(white @ turn), atol=1e-3)
    assert torch.allclose(plain.direction @ turn, turned.direction, atol=1e-3)
    other = l2_probe(points @ turn, labels, 50.0).margins(points @ turn)  # standardised in other dimensions
    assert not torch.allclose(l2_probe(points, labels, 50.0).margins(points), other, atol=1e-1)


def test_the_opposite_concept_has_the_opposite_direction():
    points, labels, _ = planted()
    yes, no = l2_probe(points, labels), l2_probe(points, ~labels)
    assert cosine(yes.weights, no.weights) == pytest.approx(-1, abs=1e-5)
    assert correlation(yes.margins(points), no.margins(points)) == pytest.approx(-1, abs=1e-5)
    assert yes.bias == pytest.approx(-no.bias, abs=1e-2)
    assert correlation(torch.ones(5), torch.arange(5.0)) is None
    empty = l1_path(points, labels, (1.01,))[0]
    assert cosine(yes.weights, empty.weights) is None
    assert cosine(yes.weights, torch.ones(3)) is None


def test_auroc_and_scores_by_hand():
    margins = torch.tensor([3.0, 1.0, 1.0, -1.0, -2.0])
    labels = torch.tensor([True, True, False, True, False])
    # pairs: 3 beats 1 and -2, 1 ties 1 and beats -2, -1 loses to 1 and beats -2: 4.5 of 6
    assert auroc(margins, labels) == pytest.approx(4.5 / 6)
    found = binary_scores(margins, labels)
    assert (found.accuracy, found.balanced_accuracy) == pytest.approx((3 / 5, (2 / 3 + 1 / 2) / 2))
    assert (found.chance, found.positives, found.points) == pytest.approx((3 / 5, 3 / 5, 5))
    alone = binary_scores(margins[:2], labels[:2])
    assert (alone.accuracy, alone.balanced_accuracy, alone.auroc, alone.chance) == (1.0, None, None, 1.0)


def test_shares_of_weights_by_hand_and_of_gaussian_weights():
    def probe(weights):
        return Probe(weights, 0.0, weights, "l2", 1.0, True)

    assert probe(torch.tensor([0.0, -6.0, 2.0, 2.0])).share_of_weights(0.5) == 1 / 4
    assert probe(torch.tensor([0.0, -6.0, 2.0, 2.0])).share_of_weights(0.9) == 3 / 4
    assert probe(torch.ones(10)).share_of_weights(0.5) == 5 / 10
    drawn = probe(torch.randn(200_000, generator=torch.Generator().manual_seed(0)))
    assert drawn.share_of_weights(0.5) == pytest.approx(GAUSSIAN_HALF, abs=2e-3)
    assert drawn.share_of_weights(0.9) == pytest.approx(GAUSSIAN_NINE_TENTHS, abs=2e-3)


def test_the_seeds_hold_out_every_item_once_and_whole_with_its_share_of_positive_ones():
    items = torch.arange(23).repeat_interleave(4)
    labels = items % 3 == 0
    held = [held_out(items, labels, seed, 4) for seed in range(8)]
    assert torch.stack(held[:4]).sum(0).tolist() == [1] * len(items)
    assert torch.stack(held[4:]).sum(0).tolist() == [1] * len(items)
    assert not torch.equal(held[0], held[4])
    for one in held:
        assert not set(items[one].tolist()) & set(items[~one].tolist())
        assert len(items[one & labels].unique()) == 2
    with pytest.raises(BadShape, match=r"^8 of 23 items have a positive point; 9 folds need 9: give a smaller --folds"):
        held_out(items, labels, 0, 9)
    with pytest.raises(BadShape, match="3 of 23 items have a negative point"):
        held_out(items, items > 2, 0, 5)


@pytest.mark.parametrize("whole", [True, False])
def test_the_control_s_labels_are_shuffled_over_items_where_those_have_one_and_keep_each_part_s_share(whole):
    draw = torch.Generator().manual_seed(5)
    items = torch.arange(30).repeat_interleave(5)
    labels = items % 2 == 0 if whole else torch.rand(150, generator=draw) < 0.3
    held = held_out(items, labels, 0, 5)
    mixed = shuffled(labels, items, held, 0)
    assert not torch.equal(mixed, labels)
    assert mixed[held].sum() == labels[held].sum()
    assert mixed.sum() == labels.sum()
    by_item = mixed.reshape(30, 5)
    assert bool((by_item == by_item[:, :1]).all()) is whole
    assert torch.equal(mixed, shuffled(labels, items, held, 0))
    assert not torch.equal(mixed, shuffled(labels, items, held, 1))


def test_a_probe_of_shuffled_labels_is_at_chance_and_one_of_the_concept_is_not():
    points, labels, items = planted(points=1200)
    real, control = [], []
    for seed in range(30):
        held = held_out(items, labels, seed, 3)
        mixed = shuffled(labels, items, held, seed)
        for found, wanted in ((real, labels), (control, mixed)):
            probe = l2_probe(points[~held], wanted[~held])
            found.append(binary_scores(probe.margins(points[held]), wanted[held]))
    assert min(one.auroc for one in real) > 0.75
    assert np.mean([one.auroc for one in control]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([one.accuracy for one in control]) <= np.mean([one.chance for one in control]) + 0.01


def test_one_class_and_constant_points_are_refused():
    with pytest.raises(BadShape, match="two classes or more; got 1"):
        l2_probe(torch.randn(8, 2), torch.ones(8, dtype=torch.bool))
    with pytest.raises(BadShape, match="the states are constant"):
        l1_path(torch.ones(8, 2), torch.arange(8) % 2 == 0, (0.5,))
