"""The quality of attributions: by hand, by scipy and scikit-learn, and on a planted truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from service.errors import BadInput, BadShape
from service.measures.attribution_baselines import random_scores
from service.measures.attribution_quality import (
    detection,
    linear_datamodeling_score,
    planted_recall,
    rank_correlations,
    top,
)


def halves(count, train, seed=0):
    """Random halves of the training examples."""
    draw = torch.rand(count, train, generator=torch.Generator().manual_seed(seed))
    return draw.argsort(1) < train // 2


def test_the_score_by_hand():
    subsets = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]).bool()
    scores = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])  # sums 7, 5, 3 and 3, 5, 7
    outputs = torch.tensor([[9.0, 1.0], [8.0, 3.0], [0.0, 2.0]])  # correlations 1 and 1 / 2
    found = linear_datamodeling_score(scores, subsets, outputs)
    assert found.value == pytest.approx(0.75)
    assert (found.tests, found.subsets, found.dropped) == (2, 3, 0)
    assert (found.low, found.high) == (pytest.approx(0.5), pytest.approx(1.0))


@given(seed=st.integers(0, 1000), levels=st.integers(2, 50))
@settings(max_examples=30, deadline=None)
def test_rank_correlations_are_scipy_s_with_ties(seed, levels):
    draw = np.random.default_rng(seed)
    a, b = draw.integers(levels, size=(2, 12, 5)).astype(float)
    found = rank_correlations(a, b)
    for column in range(5):
        if len(set(a[:, column])) > 1 and len(set(b[:, column])) > 1:
            assert found[column] == pytest.approx(spearmanr(a[:, column], b[:, column]).statistic)
        else:
            assert np.isnan(found[column])


def test_true_scores_predict_and_random_ones_do_not():
    true, subsets = random_scores(40, 60, 0), halves(50, 60)
    outputs = torch.exp(subsets.double() @ true.T / 5) + 0.1 * random_scores(50, 40, 1)
    right = linear_datamodeling_score(true, subsets, outputs)
    assert right.low > 0.85
    assert right.low < right.value < right.high < 1
    chance = linear_datamodeling_score(random_scores(40, 60, 2), subsets, outputs)
    assert abs(chance.value) < 0.1
    assert linear_datamodeling_score(-true, subsets, outputs).value == pytest.approx(-right.value)
    assert linear_datamodeling_score(3 * true, subsets, outputs) == right
    assert linear_datamodeling_score(true, subsets, outputs, seed=1).low != right.low


def test_an_output_that_does_not_vary_is_dropped_and_said_so():
    subsets, scores = halves(6, 10), random_scores(3, 10, 0)
    outputs = subsets.double() @ scores.T
    outputs[:, 1] = 5.0
    found = linear_datamodeling_score(scores, subsets, outputs)
    assert (found.value, found.tests, found.dropped) == (pytest.approx(1), 2, 1)
    alone = linear_datamodeling_score(scores[:1], subsets, outputs[:, :1])
    assert (alone.value, alone.low, alone.high) == (pytest.approx(1), None, None)
    none = linear_datamodeling_score(scores, subsets, torch.ones(6, 3))
    assert (none.value, none.low, none.tests, none.dropped) == (None, None, 0, 3)


@given(seed=st.integers(0, 1000), levels=st.integers(1, 30), marked=st.integers(1, 19))
@settings(max_examples=40, deadline=None)
def test_the_auroc_is_scikit_learn_s_and_recall_that_of_random_orders_of_ties(seed, levels, marked):
    draw = np.random.default_rng(seed)
    scores, hits = draw.integers(levels, size=20).astype(float), np.arange(20) < marked
    inspected = int(draw.integers(1, 21))
    found = detection(torch.from_numpy(scores), torch.from_numpy(hits), inspected)
    assert found.auroc == pytest.approx(roc_auc_score(hits, scores))
    recalls = []
    for _ in range(300):
        order = draw.permutation(20)
        first = order[np.argsort(-scores[order], kind="stable")][:inspected]
        recalls.append(hits[first].sum() / marked)
    assert found.recall == pytest.approx(np.mean(recalls), abs=0.12)


def test_detection_by_hand():
    marked = torch.tensor([True, False, True, False])
    found = detection(torch.tensor([4.0, 3.0, 2.0, 1.0]), marked)
    assert (found.auroc, found.recall, found.inspected) == (0.75, 0.5, 2)
    assert detection(torch.tensor([4.0, 3.0, 2.0, 1.0]), marked, 3).recall == 1.0
    assert detection(torch.zeros(4), marked).auroc == 0.5
    assert detection(torch.zeros(4), marked, 1).recall == 0.25


def test_the_first_examples_and_the_planted_among_them():
    scores = torch.tensor([[1.0, 5.0, 5.0, 0.0], [9.0, 0.0, 8.0, 7.0]])
    assert top(scores, 2).tolist() == [[1, 2], [0, 2]]
    assert top(scores, 0).shape == (2, 0)
    planted = torch.tensor([True, False, True, False])
    assert planted_recall(scores, planted, 2) == pytest.approx((0.5 + 1.0) / 2)


def test_what_cannot_be_judged_is_refused():
    scores, subsets = torch.zeros(2, 4), torch.zeros(5, 4).bool()
    with pytest.raises(BadShape, match=r"need the same examples and subsets; got \[\(2, 4\), \(5, 4\), \(5, 3\)\]$"):
        linear_datamodeling_score(scores, subsets, torch.zeros(5, 3))
    with pytest.raises(BadInput, match=r"^a rank correlation needs 3 subsets or more; got 2$"):
        linear_datamodeling_score(scores, subsets[:2], torch.zeros(2, 2))
    with pytest.raises(BadInput, match=r"^scores and outputs need to be finite; some are NaN or infinite$"):
        linear_datamodeling_score(scores, subsets, torch.full((5, 2), torch.nan))
    some = torch.tensor([True, False, False])
    with pytest.raises(BadShape, match=r"^each score needs a mark; got 2 scores and 3 marks$"):
        detection(torch.zeros(2), some)
    with pytest.raises(BadInput, match=r"^detection needs marked examples and others; 0 of 3 are marked$"):
        detection(torch.zeros(3), ~some & some)
    with pytest.raises(BadInput, match=r"^detection needs finite scores; some are NaN or infinite$"):
        detection(torch.tensor([0.0, torch.inf, 1.0]), some)
    for count in (0, 4):
        with pytest.raises(BadInput, match=rf"^{count} examples cannot be inspected: there are 3$"):
            detection(torch.zeros(3), some, count)
    with pytest.raises(BadInput, match=r"^5 examples were asked for, and there are 4$"):
        top(scores, 5)
    with pytest.raises(BadShape, match=r"^each training example needs a mark; got 4 scores and 3 marks$"):
        planted_recall(scores, some, 1)
