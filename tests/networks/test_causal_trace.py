"""A causal trace obeys the laws that its definition has, follows what the network says, and finds nothing where nothing is
disturbed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fact_network import CITIES, PEOPLE, facts
from subject_cases import SAMPLES, image_network, runs_of, subject_cases
from tiny_networks import saved

from service.errors import BadInput
from service.networks.causal_trace import (
    PLACES,
    TraceEffect,
    case_effects,
    causal_trace,
    location,
    places_of,
    restored_together,
    window_of,
)
from service.networks.checkpoints import find_checkpoints, load
from service.networks.subject_prompts import subject_prompts


@pytest.fixture(scope="module")
def cases(decoder):
    return subject_cases(decoder, [None, None, None])


@pytest.fixture(scope="module")
def runs(decoder, cases):
    return runs_of(decoder, cases)


def restoring(runs, layers, places):
    """The probabilities with the states of these layers (0 to L - 1) restored at these places."""
    at = torch.zeros(len(runs.clean), SAMPLES, runs.clean.shape[1], dtype=torch.bool)
    for layer in layers:
        at[layer][:, places] = True
    return runs.probabilities(torch.arange(SAMPLES), at)


def effect(layer, place, value, restored="mlp", std_error=None):
    """One that was found of a case."""
    return TraceEffect(layer, place, value, std_error, 1, restored, 1, " Rome", 0.9)


def test_noise_moves_the_probability_of_the_answer(runs):
    without = runs.without
    assert (without - runs.clean_probability).abs().min() > 1e-4
    assert len(without.unique()) == SAMPLES


def test_restoring_every_layer_at_every_place_gives_the_clean_probability_back(runs):
    found = restoring(runs, range(3), slice(None))
    assert found.tolist() == pytest.approx(SAMPLES * [runs.clean_probability], rel=1e-5)


@pytest.mark.parametrize("name", ["decoder", "gpt2", "llama", "opt"])
def test_restoring_the_last_layer_at_the_last_token_alone_gives_the_clean_probability_back(name, tmp_path, request):
    if name == "decoder":
        network = request.getfixturevalue("decoder")
    else:
        network = load(find_checkpoints(str(saved(name, tmp_path / name)))[0], device="cpu")
    runs = runs_of(network, subject_cases(network, [None]))
    last = runs.clean.shape[1] - 1
    assert restoring(runs, [2], [last]).tolist() == pytest.approx(SAMPLES * [runs.clean_probability], rel=1e-5)
    assert runs.probabilities(torch.arange(SAMPLES)).tolist() != pytest.approx(
        SAMPLES * [runs.clean_probability], rel=1e-5
    )


def test_the_last_layer_before_the_last_token_and_any_layer_before_the_subject_have_no_effect(runs):
    without = runs.probabilities(torch.arange(SAMPLES))
    last, first = runs.clean.shape[1] - 1, runs.prompt.first
    assert first > 0
    assert restoring(runs, [2], slice(0, last)).tolist() == pytest.approx(without.tolist(), rel=1e-5)
    assert restoring(runs, range(3), slice(0, first)).tolist() == pytest.approx(without.tolist(), rel=1e-5)


def test_restoring_the_whole_first_layer_at_the_subject_gives_the_clean_probability_back_only_where_nothing_read_it(
    runs,
):
    """What comes after the subject has read it in the first block already."""
    own = slice(runs.prompt.first, runs.prompt.last + 1)
    from_subject_on = restoring(runs, [0], slice(runs.prompt.first, None))
    assert from_subject_on.tolist() == pytest.approx(SAMPLES * [runs.clean_probability], rel=1e-5)
    assert restoring(runs, [0], own).tolist() != pytest.approx(SAMPLES * [runs.clean_probability], rel=1e-5)


def test_zero_noise_has_no_effect_anywhere(decoder, cases):
    effects = causal_trace(decoder, cases, samples=2, noise=0.0)
    assert {one.layer for one in effects} == {1, 2, 3}
    assert max(abs(one.effect) for one in effects) < 1e-6


def test_the_effects_of_all_places_are_those_restored_one_by_one(runs):
    """Many layers, samples and places share a batch: the slow twin takes them one at a time."""
    found = case_effects(runs)
    without = runs.probabilities(torch.arange(SAMPLES))
    for kind, places in places_of(runs.prompt).items():
        for layer in range(3):
            one_by_one = [restoring(runs, [layer], [place]) - without for place in places]
            assert found[kind][layer].tolist() == pytest.approx(torch.stack(one_by_one).mean(0).tolist(), abs=1e-6)


def test_the_window_is_a_share_of_the_depth_and_cut_at_both_ends():
    assert [window_of(layers) for layers in (1, 3, 12, 24, 48)] == [1, 1, 2, 5, 10]
    together = restored_together(48, "mlp")
    assert [row.nonzero().flatten().tolist() for row in together[[0, 20, 47]]] == [
        [*range(0, 5)],
        [*range(15, 25)],
        [*range(42, 48)],
    ]
    assert torch.equal(restored_together(48, "state"), torch.eye(48, dtype=torch.bool))


def test_the_trace_follows_what_the_network_knows_whatever_the_case_asks_for(people):
    network, _ = people
    texts = [("", one, " lives in") for one in PEOPLE[:2]]
    told = [facts()[one][0] for one in PEOPLE[:2]]
    true, other, long = (
        subject_cases(network, answers, texts)
        for answers in (
            [f" {one}" for one in told],
            [f" {CITIES[CITIES.index(one) - 1]}" for one in told],
            [" red green"] * 2,
        )
    )
    assert not other.met(network).any()
    found = causal_trace(network, true, samples=3)
    assert found == causal_trace(network, other, samples=3) == causal_trace(network, long, samples=3)
    last = [one for one in found if one.place == "last"]
    (answers,) = {one.answer for one in last}
    said = [network.tokenizer.decode([row[row != -100][0]]) for row in true.targets]
    assert answers == " | ".join(dict.fromkeys(said))
    asked = [runs_of(network, true.rows([row])) for row in (0, 1)]
    (clean,) = {one.clean_probability for one in last}
    assert clean == pytest.approx(sum(one.clean_probability for one in asked) / 2)
    assert min(one.clean_probability for one in asked) > 0.5


def test_the_mean_is_over_cases_and_of_a_single_case_over_its_samples(decoder, cases):
    several, alone = causal_trace(decoder, cases, samples=3), causal_trace(decoder, cases.rows([0]), samples=5)
    whole = [one for one in several if one.place == "subject-last" and one.restored == "mlp"]
    assert [(one.layer, one.n) for one in whole] == [(1, 3), (2, 3), (3, 3)]
    assert {one.n for one in alone} == {5}
    assert all(one.std_error is not None and one.std_error >= 0 for one in (*several, *alone))
    assert {one.std_error for one in causal_trace(decoder, cases.rows([0]), samples=1)} == {None}


def test_the_trace_is_the_same_at_the_same_seed_and_another_at_another(decoder, cases):
    one, same, other = (causal_trace(decoder, cases, samples=2, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_padding_and_the_rest_of_a_long_target_change_nothing(decoder):
    short = subject_cases(decoder, [" of"])
    longer = subject_cases(
        decoder, [" of", " the library"], (("The ", "int object", " is a type of"), ("A ", "list", " is a"))
    )
    told = decoder.tokenizer(" of")["input_ids"] + decoder.tokenizer(" the library")["input_ids"]
    assert len(told) > 2
    one, padded = causal_trace(decoder, short, samples=2), causal_trace(decoder, longer.rows([0]), samples=2)
    assert [found.effect for found in one] == pytest.approx([found.effect for found in padded], abs=1e-6)


def test_places_are_named_as_in_the_paper(decoder):
    texts = (("The ", "return statement of it", " may be a"), ("A ", "x", " is"), ("Of ", "x", ""))
    prompts = subject_prompts(decoder, subject_cases(decoder, [" a", " a", " a"], texts), "a trace")
    long, short, bare = (places_of(prompt) for prompt in prompts)
    assert tuple(long) == PLACES
    assert sorted({place for where in long.values() for place in where}) == list(
        range(prompts[0].first, prompts[0].end + 1)
    )
    assert short["subject-first"] == short["subject-last"] == [prompts[1].first]
    assert "subject-middle" not in short
    assert bare["last"] == bare["subject-last"]
    assert "after-subject" not in bare


def test_the_located_layer_has_the_largest_effect_of_mlps_at_the_subjects_last_token():
    effects = [
        effect(1, "subject-last", 0.2),
        effect(2, "subject-last", 0.4),
        effect(3, "subject-last", 0.4),
        effect(3, "last", 0.9),
        effect(1, "subject-last", 0.9, "state"),
    ]
    assert location(effects) == (2, None)
    with pytest.raises(BadInput, match="subject's last token"):
        location(effects[3:])


def test_the_middle_layer_is_taken_where_no_effect_is_above_its_error():
    noisy = [effect(layer, "subject-last", 0.01 * layer, std_error=0.03) for layer in range(1, 6)]
    layer, note = location(noisy)
    assert (layer, note) == (
        3,
        "no layer stands out: the largest effect is 0.05 +- 0.03; layer 3, the middle one, is taken",
    )
    assert location([*noisy[:-1], replace(noisy[-1], effect=0.061)]) == (5, None)
    assert location([replace(one, effect=-0.1, std_error=None) for one in noisy])[0] == 3


def test_a_trace_without_noise_says_that_it_locates_nothing(decoder, cases):
    effects = causal_trace(decoder, cases, samples=1, noise=0.0)
    noted = {(one.restored, one.place) for one in effects if one.note is not None}
    assert noted == {("mlp", "subject-last")}
    assert location(effects)[0] == 2


def test_the_network_is_as_before_after_a_trace_that_fails(decoder, cases):
    def fail(done, of):
        raise KeyboardInterrupt

    def hooks():
        return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in decoder.module.modules())

    before, told = hooks(), cases.logits(decoder)
    with pytest.raises(KeyboardInterrupt):
        causal_trace(decoder, cases, samples=1, on_case=fail)
    assert hooks() == before
    assert torch.equal(cases.logits(decoder), told)


def test_what_cannot_be_traced_is_refused_in_one_line(decoder, encoder, cases):
    for network, words in ((encoder, "is an encoder"), (image_network(), "reads images")):
        with pytest.raises(BadInput, match=words):
            causal_trace(network, cases)
    beyond = replace(cases, subjects=torch.tensor([[0, 40], [0, 40], [0, 40]]))
    nothing = replace(cases, targets=torch.full_like(cases.targets, -100))
    for given, words in (
        (replace(cases, subjects=None), "name a subject"),
        (beyond, "tokens 0 to 40"),
        (nothing, "ask for nothing"),
    ):
        with pytest.raises(BadInput, match=words) as refused:
            causal_trace(decoder, given)
        assert "\n" not in str(refused.value)
    with pytest.raises(BadInput, match="samples of noise"):
        causal_trace(decoder, cases, samples=0)
