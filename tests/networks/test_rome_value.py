"""What ROME makes small is what it says it makes small, term by term, as corrected and as its authors' code has it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from fact_network import CITIES, PEOPLE, facts
from subject_cases import subject_cases

from service.networks.edit_layers import named_layer
from service.networks.rome import KeyMoments, rank_one_update, rome
from service.networks.rome_value import CLAMP, NEUTRAL, Descent, Objective, adding, fitted_change
from service.networks.subject_prompts import (
    prompt_rows,
    random_prefixes,
    subject_prompts,
    with_prefixes,
)
from service.subjects import Edit

LENGTH = 1.7  # of the output before, wherever none is measured


@pytest.fixture(scope="module")
def asked(people):
    """A network, the module where it is changed, the cases that move a person, their prompts alone and behind other
    texts, and one of what the person likes in the place of the neutral one."""
    network, _ = people
    city = CITIES[CITIES.index(facts()[PEOPLE[1]][0]) - 1]
    cases = subject_cases(network, [f" {city}"], [("", PEOPLE[1], " lives in")])
    prompts = subject_prompts(network, cases, "a test")
    behind = with_prefixes(network, prompts[0], random_prefixes(network, 0)[:3])[1:]
    module = network.module.get_submodule(named_layer(network, "1"))
    (liking,) = subject_prompts(network, subject_cases(network, [None], [("", PEOPLE[1], " likes")]), "a test")
    return network, module, cases, prompts, behind, replace(liking, targets=torch.full_like(liking.targets, -100))


def said(network, module, prompt, change):
    """The probabilities after each place of one prompt, without padding, in float64; the module gives `change` more at the
    subject's last token."""

    def more(_, __, gave):
        changed = gave.clone()
        changed[0, prompt.last] += change
        return changed

    hook = module.register_forward_hook(more)
    try:
        with torch.no_grad():
            return network.module(prompt.ids[None]).logits[0].double().softmax(-1)
    finally:
        hook.remove()


def divergence(one, other):
    return sum(p * (math.log(p) - math.log(q)) for p, q in zip(one.tolist(), other.tolist(), strict=True))


@pytest.mark.parametrize("released", [False, True])
def test_the_objective_is_the_sum_of_its_terms_computed_prompt_by_prompt(asked, released, monkeypatch):
    assert NEUTRAL == 0.0625
    monkeypatch.setattr("service.networks.rome_value.NEUTRAL", 100.0)  # so that so small a network shows it
    network, module, _, prompts, behind, neutral = asked
    change = 10 * torch.randn(module.out_features, generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros_like(change)
    by_prompt = []
    for prompt in (*prompts, *behind):
        told = said(network, module, prompt, change)
        places = [place for place, target in enumerate(prompt.targets.tolist()) if target >= 0]
        by_prompt.append(-sum(math.log(told[place, prompt.targets[place]]) for place in places) / len(places))
    at = neutral.last if released else len(neutral) - 1
    drift = divergence(*(said(network, module, neutral, one)[at] for one in (change, nothing)))
    length = change.double().norm().item()
    decay = 0.5 * length / LENGTH**2 if released else 0.005 * (length / LENGTH) ** 2
    expected = sum(by_prompt) / len(by_prompt) + 100 * drift + decay
    assert 100 * drift > 1e-3 < decay
    rows = prompt_rows(network, [*prompts, *behind, neutral])
    objective = Objective(rows, LENGTH, released)
    with torch.no_grad():
        before = objective.neutral(network.module(**rows.inputs).logits)
        with adding(module, change, rows):
            scores = network.module(**rows.inputs).logits
    assert objective(scores, before, change).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("released", [False, True])
def test_a_large_weight_of_the_divergence_keeps_what_is_said_of_the_subject_otherwise(asked, released, monkeypatch):
    network, module, _, prompts, behind, neutral = asked
    at = neutral.last if released else len(neutral) - 1
    before = said(network, module, neutral, 0.0)[at]
    moved = []
    for weight in (0.0, 100.0):
        monkeypatch.setattr("service.networks.rome_value.NEUTRAL", weight)
        descent = Descent(15, 0.2, released)
        added = fitted_change(network, module, prompts, behind, neutral, LENGTH, descent).added
        moved.append(divergence(said(network, module, neutral, added)[at], before))
    assert moved[0] > 1.5 * moved[1]


def test_as_released_it_takes_one_step_less_and_stops_by_the_whole_objective(asked, monkeypatch):
    network, module, _, prompts, behind, neutral = asked

    def losses(released):
        return fitted_change(network, module, prompts, behind, neutral, 100.0, Descent(6, 0.3, released)).losses

    assert (len(losses(False)), len(losses(True))) == (7, 6)
    enough = losses(False)[3] * 1.001
    monkeypatch.setattr("service.networks.rome_value.ENOUGH", enough)
    assert len(losses(False)) == 4
    monkeypatch.setattr("service.networks.rome_value.NEUTRAL", 1e4)
    assert len(losses(True)) == 6  # what else is weighed keeps the whole above


def test_another_key_that_is_given_gets_the_value_by_a_change_in_the_same_direction():
    drawn = torch.randn(9, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight, key, given, value, moments = drawn[:4], drawn[4], drawn[5], drawn[6, :4], drawn.T @ drawn
    left, right = rank_one_update(weight, key, value, moments, given)
    torch.testing.assert_close((weight + left @ right) @ given, value)
    torch.testing.assert_close(right, rank_one_update(weight, key, value, moments)[1])
    assert not torch.allclose((weight + left @ right) @ key, value, atol=1e-3)


def test_as_released_the_prompt_as_it_is_gets_the_value_and_as_corrected_the_mean_of_its_keys(asked):
    """At so high a rate every step ends at the clamp, so how long the change of the output has to be is known."""
    network, _, cases, prompts, _, _ = asked
    layer = named_layer(network, "2")  # in the first, keys are the same behind every text
    module = network.module.get_submodule(layer)
    moments = KeyMoments(layer, torch.eye(module.in_features, dtype=torch.float64), 1)
    released = Edit("checkpoint", "task", "rome", layer, None, None, 6, 50.0, variant="released")
    reached = []
    for edit in (released, replace(released, variant="corrected")):
        (change,) = rome(network, edit, cases, moments).delta.changes.values()
        seen = []
        hook = module.register_forward_hook(lambda _, args, gave, seen=seen: seen.append((args[0], gave)))
        with torch.no_grad():
            network.module(prompts[0].ids[None])
        hook.remove()
        given, gave = (one[0, prompts[0].last] for one in seen[0])
        reached.append(((change.left @ change.right @ given).norm() / gave.norm()).item())
    assert reached[0] == pytest.approx(CLAMP, rel=1e-4)
    assert reached[1] != pytest.approx(CLAMP, rel=1e-2)


def test_ids_are_as_they_were_before_there_were_variants():
    edit = Edit("checkpoint", "task", "rome", "layer", 1, None, 20, 0.5)
    assert edit.edit_id == "081366eae9931745"
    assert replace(edit, variant="released").edit_id != edit.edit_id
