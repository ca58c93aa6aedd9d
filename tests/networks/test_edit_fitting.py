"""Edits of really trained networks: what each method changes, and the laws that they keep."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from edit_networks import edit_of, everything, image_cases, same, text_cases

from service.errors import BadInput, NetworkMismatch
from service.networks.edit_cases import NOT_ASKED, Cases
from service.networks.edit_fitting import fitted, interpolated
from service.networks.edit_interpolation import between
from service.networks.edit_layers import matrix_of, named_layer, parameters_from
from service.networks.edits import applied, base_digest, delta_bytes, read_delta
from service.networks.module_digest import same_bits


def success(network, fitting, cases):
    """The share of the cases that come out as asked of the edited network."""
    with applied(network, fitting.delta):
        return cases.met(network).float().mean().item()


def edited(network, fitting):
    """Every weight and buffer of the edited network."""
    with applied(network, fitting.delta):
        return {name: value.clone() for name, value in network.module.state_dict().items()}


def alike(one, other):
    return all(same_bits(value, other[name]) for name, value in one.items())


def test_every_method_reaches_what_is_asked_of_both_kinds_of_network_and_leaves_them_alone(normed, classifier, decoder):
    pairs = (
        (normed, image_cases(normed), "2"),
        (classifier, image_cases(classifier), "2"),
        (decoder, text_cases(decoder), "2"),
    )
    for network, cases, layer in pairs:
        before = everything(network)
        assert cases.met(network).float().mean() < 0.5
        for method, settings in (
            ("fine-tuning", {}),
            ("fine-tuning", {"layer": layer}),
            ("one-layer", {"layer": layer}),
            ("low-rank", {"layer": layer, "rank": 2}),
        ):
            found = fitted(network, edit_of(network, method, **settings, steps=40, learning_rate=2e-2), cases)
            assert success(network, found, cases) == 1, (network.checkpoint.label, method, settings)
            assert found.fit.curve[0] == (0, pytest.approx(cases.loss(network).item(), rel=1e-5))
            assert found.fit.curve[-1][0] == 40
            assert found.fit.converged, found.fit.note
            assert same(before, everything(network))


def test_each_method_changes_the_weights_that_it_says_and_no_others(normed):
    cases = image_cases(normed)
    own = {"block.second.weight", "block.second.bias"}
    everywhere = {name for name, _ in normed.module.named_parameters() if not name.startswith("spare")}
    expected = {
        ("fine-tuning", None): everywhere,
        ("fine-tuning", "block.second"): set(parameters_from(normed, "block.second")),
        ("one-layer", "block.second"): own,
        ("one-layer", "block.first"): {"block.first.weight"},
    }
    for (method, layer), names in expected.items():
        found = fitted(normed, edit_of(normed, method, layer, steps=2), cases)
        assert set(found.delta.changes) == names
        counts = [
            int((change.value != normed.module.get_parameter(name)).sum())
            for name, change in found.delta.changes.items()
        ]
        assert found.fit.changed == sum(counts)
        assert 0.9 * sum(normed.module.get_parameter(name).numel() for name in names) < found.fit.changed
    ranked = fitted(normed, edit_of(normed, "low-rank", "block.second", rank=3, steps=5), cases)
    moved = edited(normed, ranked)["block.second.weight"].flatten(1) - matrix_of(normed, "block.second")
    assert torch.linalg.matrix_rank(moved, rtol=1e-4) == 3
    assert set(ranked.delta.changes) == {"block.second.weight"}


def test_alpha_0_is_the_untouched_network_and_alpha_1_the_tuned_one_bit_for_bit(normed, decoder):
    for network, cases, layer in ((normed, image_cases(normed), "block.second"), (decoder, text_cases(decoder), "3")):
        for tuning, moving, place in (("one-layer", "1-li", layer), ("fine-tuning", "interpolation", None)):
            tuned = fitted(network, edit_of(network, tuning, place, steps=6), cases)
            ends = {
                a: fitted(network, edit_of(network, moving, place, alpha=a, steps=6), cases) for a in (0.0, 0.5, 1.0)
            }
            assert alike(edited(network, ends[0.0]), network.module.state_dict())
            assert ends[0.0].fit.changed == 0
            assert alike(edited(network, ends[1.0]), edited(network, tuned))
            half, far, near = edited(network, ends[0.5]), edited(network, tuned), network.module.state_dict()
            for name in tuned.delta.changes:
                torch.testing.assert_close(half[name], (near[name] + far[name]) / 2)
            assert success(network, ends[0.0], cases) <= success(network, ends[1.0], cases)


def test_other_alphas_need_no_other_tuning(normed):
    cases = image_cases(normed)
    tuned = fitted(normed, edit_of(normed, "one-layer", "block.second", steps=6), cases)
    for alpha in (0.0, 0.3, 1.0):
        asked = fitted(normed, edit_of(normed, "1-li", "block.second", alpha=alpha, steps=6), cases)
        for start in (tuned, asked):
            found = interpolated(start, normed, alpha)
            assert found.delta.edit == asked.delta.edit
            assert found.fit == asked.fit
            assert alike(edited(normed, found), edited(normed, asked))
    again = interpolated(interpolated(tuned, normed, 0.3), normed, 1.0)
    assert alike(edited(normed, again), edited(normed, tuned))
    with pytest.raises(BadInput, match=r"an edit by low-rank has no tuned weights to go towards"):
        interpolated(fitted(normed, edit_of(normed, "low-rank", "head", rank=1, steps=1), cases), normed, 0.5)
    with pytest.raises(BadInput, match=r"alpha is 0 .* to 1 .*; got 1.5"):
        interpolated(tuned, normed, 1.5)


def test_interpolation_in_a_narrow_format_keeps_the_ends_and_the_sign_of_zero():
    before = torch.tensor([-0.0, 1.0, 3.1, 7.0]).to(torch.bfloat16)
    tuned = torch.tensor([0.0, 2.0, -3.1, float("-0.0")]).to(torch.bfloat16)
    assert same_bits(between(before, tuned, 0.0), before)
    assert same_bits(between(before, tuned, 1.0), tuned)
    assert between(before, tuned, 0.25).tolist() == [0.0, 1.25, pytest.approx(1.55, rel=1e-2), 5.25]


def test_a_full_rank_edit_reaches_at_least_the_success_of_any_lower_rank(normed, classifier):
    for network, layer in ((normed, "block.shortcut"), (classifier, named_layer(classifier, "2"))):
        cases = image_cases(network)
        full = min(matrix_of(network, layer).shape)
        found = {}
        for rank in (1, 2, full // 2, full):
            edit = edit_of(network, "low-rank", layer, rank=rank, steps=30)
            found[rank] = success(network, fitted(network, edit, cases), cases)
        assert found[full] == max(found.values()) == 1, found


def test_the_same_edit_is_the_same_weights_and_another_seed_is_others(classifier):
    cases = image_cases(classifier)
    edit = edit_of(classifier, "low-rank", "2", rank=2, steps=4)
    one, again, other = (fitted(classifier, found, cases) for found in (edit, edit, replace(edit, seed=1)))
    assert delta_bytes(one.delta) == delta_bytes(again.delta)
    assert one.fit == again.fit
    assert not alike(edited(classifier, one), edited(classifier, other))
    assert alike(edited(classifier, replace(one, delta=read_delta(delta_bytes(one.delta)))), edited(classifier, one))


def test_many_cases_are_seen_in_seeded_batches_and_the_steps_are_told(normed):
    some = image_cases(normed, count=20)
    cases = some.rows([*range(20)] * 4)
    told: list[tuple[int, int]] = []
    edit = edit_of(normed, "one-layer", "block.second", steps=30)
    found = fitted(normed, edit, cases, lambda done, steps: told.append((done, steps)))
    assert told == [(step, 30) for step in range(1, 31)]
    assert success(normed, found, cases) == 1
    assert not alike(edited(normed, found), edited(normed, fitted(normed, replace(edit, seed=1), cases)))


def test_an_edit_that_has_not_come_to_rest_says_so_with_its_curve(normed):
    cases = image_cases(normed)
    slow = fitted(normed, edit_of(normed, "one-layer", "block.second", steps=12, learning_rate=1e-4), cases).fit
    assert (slow.converged, len(slow.curve)) == (False, 13)
    assert slow.note.startswith("the loss was still falling: ")
    few = fitted(normed, edit_of(normed, "one-layer", "block.second", steps=2), cases).fit
    assert (few.converged, few.note) == (False, "2 steps are too few to judge convergence by")


def test_an_edit_that_goes_astray_changes_nothing_and_says_so(normed, decoder):
    cases, before = image_cases(normed), everything(normed)
    for settings in ({"method": "fine-tuning"}, {"method": "low-rank", "layer": "block.second", "rank": 2}):
        found = fitted(normed, edit_of(normed, **settings, learning_rate=1e30), cases)
        assert found.delta.changes == {}
        assert (found.fit.converged, found.fit.changed) == (False, 0)
        assert found.fit.curve[-1][1] is None
        assert (
            found.fit.note
            == f"the loss is no finite number after {found.fit.curve[-1][0]} steps: the edit changes nothing"
        )
        assert alike(edited(normed, found), before[0])
    astray = fitted(normed, edit_of(normed, "fine-tuning", learning_rate=1e30), cases)
    assert interpolated(astray, normed, 0.5).delta.changes == {}
    assert same(before, everything(normed))


def test_a_network_is_untouched_where_the_fitting_is_interrupted(decoder):
    before = everything(decoder)

    def pull(done, steps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(decoder, edit_of(decoder, "fine-tuning"), text_cases(decoder), pull)
    assert same(before, everything(decoder))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"method": "low-rank", "layer": "head", "rank": 11},
            "of the weight of head, 10 x 12, has rank 1 to 10; got 11",
        ),
        ({"method": "low-rank", "layer": "head", "rank": 0}, "has rank 1 to 10; got 0"),
        ({"method": "low-rank", "layer": "head"}, "an edit by low-rank needs a value of rank; got none"),
        ({"method": "one-layer"}, "an edit by one-layer needs a value of layer; got none"),
        ({"method": "one-layer", "layer": "head", "rank": 2}, "an edit by one-layer has no rank; got 2: leave it out"),
        ({"method": "1-li", "layer": "head"}, "an edit by 1-li needs a value of alpha; got none"),
        ({"method": "1-li", "layer": "head", "alpha": -0.1}, r"alpha is 0 \(the weights before\) to 1 .*; got -0.1"),
        ({"method": "one-layer", "layer": "block.norm"}, "block.norm is a BatchNorm2d, which has no weight matrix"),
        ({"method": "one-layer", "layer": "haed"}, "did you mean 'head'"),
        ({"method": "fine-tuning", "steps": 0}, "takes 1 step or more; got 0"),
        (
            {"method": "fine-tuning", "learning_rate": 0.0},
            "a learning rate is a number above 0 and at most 1e\\+30; got 0",
        ),
        ({"method": "rome", "layer": "head", "rank": 1}, "rome needs the second moments of its layer's keys"),
    ],
)
def test_settings_that_do_not_fit_are_refused(normed, settings, said):
    with pytest.raises(BadInput, match=said):
        fitted(normed, edit_of(normed, **settings), image_cases(normed))


def test_cases_that_cannot_be_asked_are_refused(normed, decoder):
    cases, edit = image_cases(normed), edit_of(normed, "fine-tuning")
    with pytest.raises(BadInput, match=r"needs one example or more to be fitted to; got none"):
        fitted(normed, edit, cases.rows(torch.arange(0)))
    with pytest.raises(BadInput, match=r"tells 10 classes or tokens apart, 0 to 9; the target 10 is none of them"):
        fitted(normed, edit, Cases(cases.inputs, torch.full_like(cases.targets, 10)))
    silent = torch.where(torch.arange(len(cases)) == 3, NOT_ASKED, cases.targets)
    with pytest.raises(BadInput, match=r"1 of 16 cases ask for nothing, the first is case 3"):
        fitted(normed, edit, Cases(cases.inputs, silent))
    texts = text_cases(decoder)
    with pytest.raises(BadInput, match=r"targets of shape \(6,\) were given"):
        fitted(decoder, edit, Cases(texts.inputs, texts.targets[:, -1]))
    with pytest.raises(NetworkMismatch, match=r"has no head"):
        fitted(replace(normed, predicts=False), edit, cases)


def test_the_delta_is_checked_against_the_network_that_was_edited(normed, classifier):
    found = fitted(normed, edit_of(normed, "one-layer", "head", steps=1), image_cases(normed))
    assert found.delta.base_digest == base_digest(normed.module)
    with pytest.raises(NetworkMismatch, match=r"load the network that was edited"):
        interpolated(found, classifier, 0.5)
