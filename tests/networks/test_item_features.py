"""What one network says of items: the same pooled states as its summaries, of whatever kind the network is."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.func import functional_call

from service.errors import BadInput, UnknownName
from service.measures.projection import Projection
from service.networks.checkpoints import find_checkpoints, load
from service.networks.class_labels import class_names, class_numbers
from service.networks.datasets import Choice, open_dataset
from service.networks.examples import leading_tokens, pooled_states, reader_of
from service.networks.gradients import ExampleGradients
from service.networks.hidden_states import extract
from service.networks.item_features import Member, Probe
from service.networks.item_sides import Side, class_side
from service.networks.output_functions import ProbeMargin, margin, pooled

COUNT = 12


class Table:
    """Items with classes alone."""

    def __init__(self, *classes):
        self.classes = dict(enumerate(classes))
        self.dataset = open_dataset("digits").dataset

    def column(self, name):
        if name != "label":
            raise UnknownName.of("column", name, ["label"])
        return self.classes


@pytest.fixture(scope="module")
def vision(vision_folder):
    """The trained vision transformer."""
    return load(find_checkpoints(str(vision_folder))[-1], device="cpu")


@pytest.fixture(scope="module")
def convnet():
    """Somebody's own network, called by place."""
    return load(find_checkpoints("python:convnets:convnet:first,second")[0], device="cpu")


def side_of(suffix="", **classes):
    """Some digits, each with a sign."""
    items = open_dataset(f"digits{suffix}", choice=Choice(texts=COUNT))
    found = class_side(items, items.item_ids[:COUNT], **classes)
    return dataclasses.replace(found, labels={item: 1 if item % 2 else -1 for item in found.ids})


def probe_at(layer, width):
    return Probe(layer, torch.linspace(-1, 1, width), 0.25)


def text_side(ids=range(5)):
    items = open_dataset("python-reference")
    return Side(items, tuple(ids), dict.fromkeys(ids, 1))


@pytest.mark.parametrize("name", ["vision", "convnet"])
def test_states_and_probe_margins_are_those_of_the_pooled_summary(name, request):
    network = request.getfixturevalue(name)
    side = side_of(":pooled")
    summaries = extract(network, side.items, sample=COUNT)
    for depth, summary in enumerate(summaries):
        rows = {item: row for row, item in enumerate(summary.sample.item_id.tolist())}
        stored = summary.states[[rows[item] for item in side.ids]].float()
        inputs = reader_of(network, side.items)(side.ids)
        torch.testing.assert_close(pooled_states(network, depth, inputs), stored, rtol=1e-4, atol=1e-5)
        assert leading_tokens(network, depth) == (name == "vision")
        member = Member(network, "probe", probe_at(depth, stored.shape[1]))
        expected = torch.from_numpy(side.values) * (stored @ member.probe.weights + member.probe.bias)
        torch.testing.assert_close(member.outputs(side), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(member.states(side), stored, rtol=1e-4, atol=1e-5)


def test_leading_tokens_enter_no_mean_by_hand():
    states = torch.tensor([[[9.0], [1.0], [3.0], [8.0]]])
    assert pooled(states, {}, {}, 1).tolist() == [4.0]
    assert pooled(states, {"attention_mask": torch.tensor([[1, 1, 1, 0]])}, {}, 1).tolist() == [2.0]
    assert pooled(states, {}, {"places": torch.tensor(0)}, 1).tolist() == [9.0]


@pytest.mark.parametrize("output", ["class", "probe"])
def test_a_network_that_is_called_by_place_has_gradients(output, convnet):
    side, module = side_of(), convnet.module
    member = Member(convnet, output, probe_at(1, 6) if output == "probe" else None)
    names = member.names(reader_of(convnet, side.items)(side.ids[:1]))
    found = ExampleGradients(module, names, member.function)
    assert set(names) == {"first.weight", "first.bias"} if output == "probe" else "head.bias" in names
    features = member.features(side, lambda *parts: torch.cat(parts, 1))
    pixels = reader_of(convnet, side.items)(side.ids)["pixel_values"]
    for row, item in enumerate(side.ids):
        weights = {name: module.get_parameter(name).detach().clone().requires_grad_() for name in names}
        if output == "class":
            scores = functional_call(module, weights, (pixels[row : row + 1],))[0]
            value = margin(scores, torch.tensor(side.classes[item]))
        else:
            state = functional_call(
                nn.ModuleDict({"first": module.first})["first"],
                {name.removeprefix("first."): one for name, one in weights.items()},
                (pixels[row : row + 1],),
            ).mean((2, 3))[0]
            value = side.labels[item] * (state @ member.probe.weights + 0.25)
        rows = torch.autograd.grad(value, list(weights.values()), allow_unused=True, materialize_grads=True)
        assert torch.allclose(features.outputs[row], value, atol=1e-5)
        assert torch.allclose(features.gradients[row], torch.cat([one.flatten() for one in rows]), atol=1e-5)
    assert features.gradients.abs().max() > 1e-3
    assert torch.allclose(member.outputs(side), features.outputs, atol=1e-5)
    assert found.parameters == features.gradients.shape[1]


def test_an_output_that_a_network_does_not_have_is_refused(vision, convnet, decoder, encoder):
    for network, output, kind, gives in (
        (vision, "next-token", "vision", "probe or class"),
        (convnet, "next-token", "vision", "probe or class"),
        (decoder, "class", "decoder", "probe or next-token"),
        (encoder, "next-token", "encoder", "probe"),
        (encoder, "class", "encoder", "probe"),
    ):
        label = network.checkpoint.label
        with pytest.raises(BadInput) as refusal:
            Member(network, output)
        assert str(refusal.value) == f"{label} ({kind}) gives no {output!r}: give --output {gives}"
    headless = dataclasses.replace(vision, predicts=False)
    with pytest.raises(BadInput, match=r"has no trained head, which 'class' is the margin of: give --output probe$"):
        Member(headless, "class")
    with pytest.raises(
        BadInput, match=r"has no trained head, .*: give --method trak-released, representation or random$"
    ):
        Member(headless, "probe", probe_at(1, 32)).features(side_of(), Projection(8), trained=True)
    with pytest.raises(BadInput, match=r"was given no probe, whose margin is asked for$"):
        Member(vision, "probe").outputs(side_of())
    bare = load(find_checkpoints("python:convnets:stages")[0], device="cpu")
    with pytest.raises(
        BadInput, match=r"gives an output of shape \(1, 8, 4, 4\), and class scores have the shape \(items, classes\)$"
    ):
        Member(bare, "class").outputs(side_of())


def test_an_encoder_has_states_and_probe_margins(encoder):
    side, probe = text_side(), probe_at(2, 32)
    states = Member(encoder, "probe").states(side)
    assert states.shape == (5, 32)
    assert not states.requires_grad
    last = pooled_states(encoder, 3, reader_of(encoder, side.items)(side.ids))
    torch.testing.assert_close(states, last)
    member = Member(encoder, "probe", probe)
    expected = member.states(side) @ probe.weights + probe.bias
    torch.testing.assert_close(member.outputs(side), expected, rtol=1e-4, atol=1e-5)
    features = member.features(side, Projection(2))
    torch.testing.assert_close(features.outputs, expected, rtol=1e-4, atol=1e-5)


def test_states_are_told_of_batch_after_batch(vision, monkeypatch):
    side, told = side_of(), []
    whole = Member(vision, "class").states(side)
    monkeypatch.setattr("service.networks.item_features.BATCH", 5)
    parts = Member(vision, "class").states(side, lambda done, of: told.append((done, of)))
    torch.testing.assert_close(parts, whole)
    assert told == [(0, COUNT), (5, COUNT), (10, COUNT)]


@pytest.mark.parametrize("label", [-1, 10])
def test_a_class_that_the_network_does_not_tell_is_refused(label, vision):
    side = side_of()
    wrong = dataclasses.replace(side, classes={**side.classes, side.ids[3]: label})
    for member_side in (
        Member(vision, "class").outputs,
        lambda one: Member(vision, "class").features(one, Projection(8)),
    ):
        with pytest.raises(BadInput) as refusal:
            member_side(wrong)
        told = f"item {side.ids[3]} of digits[texts={COUNT}] has class {label}, and {vision.checkpoint.label} tells"
        assert str(refusal.value) == f"{told} 10 classes, 0 to 9"
    none = dataclasses.replace(side, classes={})
    with pytest.raises(
        BadInput, match=f"^item {side.ids[0]} of .* has no class, which the network was trained to tell$"
    ):
        Member(vision, "class").outputs(none)


def test_classes_are_numbered_alike_on_both_sides():
    train, targets = Table("fox", "cat", "dog", None), Table("fox", "cat")
    names = class_names(train)
    assert names == {"cat": 0, "dog": 1, "fox": 2}
    assert class_numbers(train) == {0: 2, 1: 0, 2: 1}
    assert class_numbers(targets) == {0: 1, 1: 0}
    assert class_numbers(targets, known=names) == {0: 2, 1: 0}
    assert class_side(targets, [0, 1], names).classes == {0: 2, 1: 0}
    with pytest.raises(UnknownName, match=r"unknown class of digits 'fax': did you mean 'fox'.*known: cat, dog, fox$"):
        class_side(Table("fax"), [0], names)


def test_whole_numbers_are_classes_as_they_are_whatever_their_type():
    assert class_numbers(Table(10.0, 2.0, float("nan"))) == {0: 10, 1: 2}
    assert class_numbers(Table(10, 2, True)) == {0: 10, 1: 2, 2: 1}
    assert class_names(Table(10.0, 2)) == {"2": 2, "10": 10}
    assert class_numbers(Table(10.0), known={"2": 2, "10": 10}) == {0: 10}
    assert class_numbers(Table(0.5, 0.25)) == {0: 1, 1: 0}
    with pytest.raises(UnknownName, match=r"unknown class of digits '3': known: 10, 2$"):
        class_numbers(Table(3.0), known={"2": 2, "10": 10})


def test_texts_have_no_classes():
    with pytest.raises(BadInput, match=r"has no classes: the margin of the true class needs them$"):
        class_side(open_dataset("python-reference"), [0])


def test_a_probe_margin_leaves_nothing_out_unless_it_is_told(vision):
    assert ProbeMargin(vision.blocks.capturing, 1, torch.ones(32)).leading == 0
    assert Member(vision, "probe", probe_at(1, 32)).function.leading == 1
