"""Scores of early warnings on planted series, against scikit-learn and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from service.experiments.warning_scores import (
    FALSE_ALARMS,
    Series,
    at_alarms,
    auroc,
    detrended,
    interval,
    labelled,
    score,
    shuffled_score,
    wins,
)


def series(values, spikes, name="a", every=2, condition="none"):
    steps = np.arange(1, len(values) + 1) * every
    return Series(name, condition, steps, {"signal": np.asarray(values, dtype=float)}, spikes, int(steps[-1]))


def noisy(count, seed, spikes=(), lift=0.0, ahead=10, every=2):
    """White noise, raised by `lift` in the `ahead` steps before each spike."""
    values = np.random.default_rng(seed).standard_normal(count)
    steps = np.arange(1, count + 1) * every
    for start, _ in spikes:
        values[(steps < start) & (steps >= start - ahead)] += lift
    return series(values, list(spikes), f"t{seed}", every)


SPIKES = [(201, 203), (501, 501), (801, 860)]


def labels_by_hand(one, horizon):
    scored, positive = [], []
    for place, step in enumerate(one.steps):
        inside = any(start <= step <= end + 50 for start, end in one.spikes)
        before = any(0 < start - step <= horizon for start, _ in one.spikes)
        if not inside and (before or step + horizon <= one.last) and np.isfinite(one.signals["signal"][place]):
            scored.append(step)
            positive.append(before)
    return scored, positive


@pytest.mark.parametrize("horizon", [10, 50, 200])
def test_a_probe_is_before_a_spike_within_the_horizon_and_aftermath_and_the_end_are_left_out(horizon):
    one = noisy(500, 0, SPIKES)
    one.signals["signal"][[3, 98]] = np.nan
    cell = labelled(one, "signal", horizon)
    steps, positive = labels_by_hand(one, horizon)
    assert cell.steps.tolist() == steps
    assert cell.positive.tolist() == positive
    assert 0 < sum(positive) < len(positive)


def test_the_area_is_that_of_scikit_learn_over_all_probes_with_ties():
    trainings = [noisy(500, seed, SPIKES[: seed % 4], lift=0.7) for seed in range(7)]
    trainings = [series(np.round(one.signals["signal"], 1), one.spikes) for one in trainings]
    cells = [labelled(one, "signal", 50) for one in trainings]
    expected = roc_auc_score(
        np.concatenate([cell.positive for cell in cells]), np.concatenate([cell.values for cell in cells])
    )
    assert auroc(cells) == pytest.approx(expected, abs=1e-12)
    assert wins(cells).sum() > 0


def test_the_interval_is_that_of_resampling_whole_trainings():
    trainings = [noisy(300, seed, [(301, 301)] if seed % 2 else [], lift=1.0) for seed in range(12)]
    cells = [labelled(one, "signal", 50) for one in trainings]
    draw, areas = np.random.default_rng(1), []
    for _ in range(400):
        chosen = [cells[place] for place in draw.integers(len(cells), size=len(cells))]
        positive = np.concatenate([cell.positive for cell in chosen])
        if positive.any():
            areas.append(roc_auc_score(positive, np.concatenate([cell.values for cell in chosen])))
    low, high = interval(cells)
    assert [low, high] == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=0.03)
    assert low < auroc(cells) < high


def test_a_signal_that_foretells_every_spike_is_worth_one_and_noise_a_half():
    told = [noisy(500, seed, SPIKES, lift=50, ahead=10) for seed in range(4)]
    found = score(told, "signal", 10)
    assert (found.auroc, found.recall_at_alarms) == (1.0, 1.0)
    assert found.precision_at_alarms > 0.5  # as many false alarms as the rate allows, and not more
    assert (found.trainings, found.spikes, found.false_alarms_per_1000_steps) == (4, 12, FALSE_ALARMS)
    noise = score([noisy(500, seed, SPIKES) for seed in range(20)], "signal", 50)
    assert noise.auroc_low < 0.5 < noise.auroc_high
    assert noise.recall_at_alarms < 0.5


def test_shuffled_labels_are_chance_even_for_a_perfect_signal():
    told = [noisy(500, seed, SPIKES, lift=50, ahead=50) for seed in range(4)]
    found = shuffled_score(told, "signal", 50)
    assert found.auroc == pytest.approx(0.5, abs=0.05)
    assert found.auroc_low < 0.5 < found.auroc_high
    assert score(told, "signal", 50).auroc > found.auroc_high


def test_false_alarms_stay_within_the_rate_and_a_lasting_alarm_is_one():
    trainings = [noisy(2000, seed, [(2001, 2001)], lift=3, ahead=20) for seed in range(5)]
    cells = [labelled(one, "signal", 50) for one in trainings]
    precision, recall = at_alarms(cells, 50, every=2.0)
    negatives = sum(int((~cell.positive).sum()) for cell in cells)
    assert recall == 1.0
    assert precision is not None
    assert 5 * (1 / precision - 1) <= FALSE_ALARMS * 2 * negatives / 1000 + 5
    always = [series(np.r_[np.zeros(100), np.ones(150)], [(260, 260)])]
    assert at_alarms([labelled(always[0], "signal", 50)], 50, 2.0, rate=10.0) == (0.0, 0.0)


def test_a_steady_growth_is_no_signal_and_a_jump_above_it_is():
    values = np.linspace(0, 10, 200) + np.random.default_rng(0).normal(0, 0.01, 200)
    values[150] += 2
    found = detrended(values, 20)
    assert np.isnan(found[:5]).all()
    assert np.isfinite(found[5:]).all()
    assert np.nanargmax(found) == 150
    assert found[150] > 3 * np.delete(found[20:], 130).max()
    window = values[130:150]
    expected = (values[150] - np.median(window)) / (1.4826 * np.median(np.abs(window - np.median(window))))
    assert found[150] == pytest.approx(expected)


def test_what_does_not_vary_or_is_not_known_has_no_score():
    assert np.isnan(detrended(np.ones(50), 10)).all()
    assert np.isnan(detrended(np.full(50, np.nan), 10)).all()


def test_without_a_spike_nothing_can_be_foretold_and_the_reason_is_said():
    found = score([noisy(200, 0)], "signal", 10)
    assert (found.auroc, found.note, found.spikes) == (None, "there is no spike to foretell", 0)
    assert shuffled_score([noisy(200, 0)], "signal", 10).note == "there is no spike to foretell"
    early = score([noisy(200, 0, [(1, 400)])], "signal", 10)
    assert early.note == "no probe could be scored before a spike, or none apart"
