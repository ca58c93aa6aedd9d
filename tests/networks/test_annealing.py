"""When a training is at rest: judged by its held-out loss at each of its rates, on planted losses."""

from __future__ import annotations

import math

from service.networks.annealing import RATES, Annealing, has_converged


def told(annealing, loss_after):
    """The rate of each step until the training is over."""
    rates = []
    for step in range(1, annealing.steps + 1):
        rates.append(annealing.rate)
        if annealing.evaluates(step):
            annealing.tell(step, loss_after(step))
        if annealing.over:
            break
    return rates


def test_a_loss_that_rests_at_every_rate_ends_the_training_before_its_last_step():
    annealing = Annealing(600)
    rates = told(annealing, lambda step: 3.0 + math.exp(-step / 20))
    assert annealing.why is None
    assert len(rates) < 400
    assert rates.count(RATES[1]) == 60
    assert rates == sorted(rates, reverse=True)


def test_a_loss_that_still_falls_has_the_rate_lowered_in_time_and_has_not_converged():
    annealing = Annealing(24)
    rates = told(annealing, lambda step: 3.0 - step / 100)
    assert [rates.count(rate) for rate in RATES] == [16, 8]
    assert annealing.why == "the held-out loss still changed by 1.38% over the last quarter of the steps at one rate"


def test_a_loss_that_comes_to_rest_only_as_the_rate_is_lowered_has_not_converged():
    annealing = Annealing(240)
    told(annealing, lambda step: 3.0 - min(step, 120) / 1000)
    assert annealing.why.startswith("the held-out loss still changed by ")


def test_a_loss_that_rises_has_the_rate_lowered_and_at_the_last_rate_is_no_rest():
    annealing = Annealing(240)
    rates = told(annealing, lambda step: 3.0 + step / 100)
    assert [rates.count(rate) for rate in RATES] == [60, 180]
    assert "still changed by " in annealing.why


def test_a_few_evaluations_or_a_loss_that_is_no_number_are_no_rest():
    assert has_converged([3.0] * 6) == (True, None)
    assert has_converged([3.0] * 5) == (False, "5 evaluations at one rate are too few to judge convergence by")
    assert has_converged([float("nan")] * 12)[0] is False
    assert has_converged([None] * 12)[0] is False
