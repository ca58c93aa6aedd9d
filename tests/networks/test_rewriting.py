"""Rewriting: keys, their whitened directions, and a change of some rank that brings modified images back to their originals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from edit_networks import edit_of, everything, image_cases, same, text_cases
from torch import nn

from service.errors import BadInput
from service.networks.edit_cases import Cases
from service.networks.edit_fitting import fitted
from service.networks.edit_layers import matrix_of, named_layer
from service.networks.edits import applied
from service.networks.rewriting import at_layer, key_directions, keys_of, second_moment, usual_moment


@pytest.fixture
def stamps(normed):
    """Digits with a bright corner, which are to be told as what they are."""
    return image_cases(normed, count=30, target=4)


def far(network, cases, layer="block.second"):
    """The mean distance of what a layer gives of modified inputs from what it gives of the originals."""
    return (
        (at_layer(network, layer, cases.inputs)[1] - at_layer(network, layer, cases.originals)[1]).abs().mean().item()
    )


def test_the_keys_of_a_layer_are_what_its_matrix_takes_to_outputs(normed, classifier):
    for network, layer in (
        (normed, "block.first"),
        (normed, "block.shortcut"),
        (classifier, named_layer(classifier, "2")),
    ):
        module = network.module.get_submodule(layer)
        given, gave = at_layer(network, layer, image_cases(network).inputs)
        shift = 0 if module.bias is None else module.bias
        found = keys_of(module, given) @ matrix_of(network, layer).T + shift
        expected = gave.flatten(2).transpose(1, 2).flatten(0, 1) if gave.ndim == 4 else gave.flatten(0, -2)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        keys = keys_of(module, given).double()
        torch.testing.assert_close(second_moment(module, given), keys.T @ keys / len(keys))


def test_directions_are_those_along_which_keys_are_most_unlike_the_usual_ones():
    usual = torch.diag(torch.tensor([100.0, 1.0, 1.0, 1.0]).double())
    keys = torch.diag(torch.tensor([200.0, 9.0, 25.0, 1.0]).double())
    found = key_directions(keys, usual, 2)
    torch.testing.assert_close(found @ found.T, torch.eye(2))
    torch.testing.assert_close(found.T @ found, torch.diag(torch.tensor([0.0, 1.0, 1.0, 0.0])))
    assert torch.isfinite(key_directions(torch.zeros(3, 3).double(), torch.zeros(3, 3).double(), 1)).all()


def test_directions_span_the_whitened_keys_mapped_back():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, 60, 5, generator=generator, dtype=torch.float64)
    keys, usual = drawn @ torch.randn(2, 5, 5, generator=generator, dtype=torch.float64)
    c = usual.T @ usual / 60
    values, vectors = torch.linalg.eigh(c + 0.01 * c.diagonal().mean() * torch.eye(5))
    root = vectors @ torch.diag(values**-0.5) @ vectors.T
    top = torch.linalg.svd(keys @ root, full_matrices=False)[2][:2]
    expected = torch.linalg.qr((top @ root).T)[0].T
    found = key_directions(keys.T @ keys / 60, c, 2).double()
    torch.testing.assert_close(found.T @ found, expected.T @ expected, rtol=1e-4, atol=1e-5)


def test_a_rewritten_layer_gives_nearly_what_it_gave_of_the_originals_by_a_change_of_its_rank(normed, stamps):
    before, there = everything(normed), far(normed, stamps)
    reached = []
    for rank in (1, 4):
        edit = edit_of(normed, "rewriting", "block.second", rank=rank, steps=60)
        found = fitted(normed, edit, stamps)
        own = matrix_of(normed, "block.second").clone()
        with applied(normed, found.delta):
            reached.append(far(normed, stamps))
            change = matrix_of(normed, "block.second") - own
            after = stamps.loss(normed).item()
        assert torch.linalg.matrix_rank(change, rtol=1e-4) == rank
        assert found.fit.curve[-1] == (60, pytest.approx(after, rel=1e-4))
        assert [step for step, _ in found.fit.curve] == [*range(0, 60, 10), 60]
        assert found.fit.changed == (change != 0).sum()
        assert same(before, everything(normed))
    assert there > reached[0] > reached[1]
    assert after < found.fit.curve[0][1]


def test_as_released_a_change_has_the_directions_of_channels_at_every_place_of_the_kernel(normed, stamps):
    edit = replace(edit_of(normed, "rewriting", "block.second", rank=2, steps=20), variant="released")
    (change,) = fitted(normed, edit, stamps).delta.changes.values()
    places = (change.left @ change.right).reshape(12, 12, 9)  # outputs, channels, places of the kernel
    assert [int(torch.linalg.matrix_rank(places[:, :, place], rtol=1e-4)) for place in range(9)] == [2] * 9
    spanned = torch.cat([places[:, :, place] for place in range(9)])
    assert torch.linalg.matrix_rank(spanned, rtol=1e-4) == 2
    given, _ = at_layer(normed, "block.second", stamps.inputs)
    channels = given.flatten(2).transpose(1, 2).flatten(0, 1).double()
    module = normed.module.block.second
    torch.testing.assert_close(second_moment(module, given, released=True), channels.T @ channels / len(channels))
    with pytest.raises(BadInput, match=r"block\.first as released has rank 1 to 8, its channels; got 9"):
        fitted(normed, replace(edit, layer="block.first", rank=9), stamps)
    with pytest.raises(BadInput, match="low-rank has no variant as released; rewriting, rome have"):
        fitted(normed, replace(edit, method="low-rank"), stamps)


def test_keys_are_whitened_by_other_inputs_where_there_are_some(normed, stamps):
    edit = edit_of(normed, "rewriting", "block.second", rank=1, steps=10)
    halves = [{"pixel_values": stamps.originals["pixel_values"][rows]} for rows in (slice(0, 7), slice(7, None))]
    own, same_inputs, others = (
        fitted(normed, edit, stamps, whitened_by=given).delta.changes["block.second.weight"].right
        for given in (
            None,
            usual_moment(normed, "block.second", halves),
            usual_moment(normed, "block.second", [image_cases(normed, of_class=1).inputs]),
        )
    )
    torch.testing.assert_close(own @ own.T, torch.ones(1, 1))
    assert (own @ same_inputs.T).abs().item() == pytest.approx(1, abs=1e-4)
    assert (own @ others.T).abs().item() < 0.99


def test_a_text_networks_layer_is_rewritten_too(decoder):
    cases = text_cases(decoder)
    ids = cases.inputs["input_ids"].clone()
    ids[:, 3] = 7
    modified = Cases(cases.inputs | {"input_ids": ids}, cases.targets, cases.inputs)
    layer = named_layer(decoder, "2")
    edit = edit_of(decoder, "rewriting", layer, rank=8, steps=40, learning_rate=1e-3)
    found = fitted(decoder, edit, modified)
    untouched = far(decoder, modified, layer)
    with applied(decoder, found.delta):
        given, _ = at_layer(decoder, layer, modified.inputs)
        module = decoder.module.get_submodule(layer)
        after = module(given).detach()
    assert (after - at_layer(decoder, layer, cases.inputs)[1]).abs().mean().item() < untouched


def test_one_that_goes_astray_and_one_that_is_slow_say_so(normed, stamps):
    edit = edit_of(normed, "rewriting", "block.second", rank=2, steps=40)
    slow = fitted(normed, replace(edit, learning_rate=1e-5), stamps).fit
    assert slow.note.startswith("the loss was still falling")
    astray = fitted(normed, replace(edit, learning_rate=1e30), stamps).fit
    assert (astray.converged, astray.note.split(":")[0]) == (False, "the loss did not fall")


def test_what_cannot_be_rewritten_is_refused(normed, stamps):
    edit = edit_of(normed, "rewriting", "block.second", rank=2)
    with pytest.raises(BadInput, match=r"needs what the inputs were before .*; got no originals"):
        fitted(normed, edit, Cases(stamps.inputs, stamps.targets))
    larger = {"pixel_values": nn.functional.pad(stamps.inputs["pixel_values"], (2, 2))}
    with pytest.raises(BadInput, match=r"originals give block.second inputs of shape .*, modified ones "):
        fitted(normed, edit, Cases(stamps.inputs, stamps.targets, larger))
    whole, module = normed.module.block.second, nn.Conv2d(12, 12, 3, padding=1, groups=3)
    normed.module.block.second = module
    try:
        with pytest.raises(BadInput, match=r"a convolution in 3 groups, which cannot be rewritten: give another layer"):
            fitted(normed, edit, stamps)
    finally:
        normed.module.block.second = whole
