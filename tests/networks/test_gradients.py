"""Per-example gradients are those of a slow loop, whatever the network, the output and the chunk."""

from __future__ import annotations

import re
from contextlib import contextmanager

import pytest
import torch
import transformers
from tiny_networks import ARCHITECTURES
from torch import nn
from torch.func import functional_call

from service.errors import BadInput, NetworkMismatch
from service.networks.blocks import find_blocks
from service.networks.gradients import ExampleGradients, parameters_below
from service.networks.output_functions import ClassMargin, NextTokenMargin, ProbeMargin, margin, pooled

EXAMPLES = 5


def network(name, **changes):
    """A random network of a known architecture, with the attention that transformers chooses."""
    kind, config, sizes = ARCHITECTURES[name]
    special = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)
    torch.manual_seed(0)
    return getattr(transformers, kind)(getattr(transformers, config)(vocab_size=60, **special, **sizes, **changes))


def windows(padded=True, length=9):
    """Token ids with a mask that hides the end of some windows."""
    ids = torch.randint(1, 60, (EXAMPLES, length), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 4:], mask[3, 7:] = 0, 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def image_classifier():
    """A small vision transformer."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = transformers.ViTConfig(**sizes, image_size=8, patch_size=4, num_channels=1, num_labels=3)
    return transformers.ViTForImageClassification(config)


def convolution():
    """Convolutions with batch normalisation and dropout, called by place."""
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)]
    return nn.Sequential(*parts)


def capturing_of(*modules):
    """Hooks on modules, whose outputs are the layers 1, 2, ..."""

    @contextmanager
    def capturing(take):
        hooks = [
            module.register_forward_hook(lambda _, __, output, depth=depth: take(depth, output))
            for depth, module in enumerate(modules, start=1)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    return capturing


def slow_rows(module, names, output, inputs, targets):
    """One example after another through torch.autograd.grad, in evaluation mode."""
    module = module.eval()
    rows, outputs, doubts = [], [], []
    for row in range(EXAMPLES):
        weights = {name: module.get_parameter(name).detach().clone().requires_grad_() for name in names}
        one = {name: values[row : row + 1] for name, values in inputs.items()}
        own = {name: values[row] for name, values in targets.items()}
        value, doubt = output(lambda weights=weights, **given: functional_call(module, weights, (), given), one, own)
        found = torch.autograd.grad(value, list(weights.values()), allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
        outputs.append(value.detach())
        doubts.append(doubt.detach())
    return torch.stack(rows), torch.stack(outputs), torch.stack(doubts)


def assert_as_slow(module, names, output, inputs, chunk=None, **targets):
    found = ExampleGradients(module, names, output, chunk).of(inputs, **targets)
    rows, outputs, doubts = slow_rows(module, names, output, inputs, targets)
    assert rows.abs().max() > 1e-4
    assert found.rows.shape == rows.shape
    assert torch.allclose(found.rows, rows, atol=2e-5 * rows.abs().max())
    assert torch.allclose(found.outputs, outputs, atol=1e-5)
    assert torch.allclose(found.doubts, doubts, atol=1e-5)
    return found


def names_of(module):
    return tuple(name for name, _ in module.named_parameters())


LABELS = torch.tensor([0, 1, 2, 1, 0])
IMAGES = torch.randn(EXAMPLES, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("chunk", [None, 1, 2, 5])
def test_an_image_classifier_s_gradients_are_the_slow_loop_s_whatever_the_chunk(chunk):
    module = image_classifier()
    assert_as_slow(module, names_of(module), ClassMargin(), {"pixel_values": IMAGES}, chunk, labels=LABELS)


def test_any_torch_module_will_do_and_normalisation_and_dropout_are_those_of_evaluation():
    module = convolution()
    module(IMAGES)  # moves the running statistics
    module.train()
    before = {name: values.clone() for name, values in module.state_dict().items()}
    found = ExampleGradients(module, names_of(module), ClassMargin()).of({"input": IMAGES}, labels=LABELS)
    assert module.training
    assert all(part.training for part in module)
    assert all(torch.equal(values, before[name]) for name, values in module.state_dict().items())
    assert all(weight.grad is None for weight in module.parameters())
    assert torch.equal(
        found.rows, assert_as_slow(module, names_of(module), ClassMargin(), {"input": IMAGES}, labels=LABELS).rows
    )


@pytest.mark.parametrize("name", ["gpt_neox", "gpt2", "llama", "opt"])
def test_decoders_margins_are_vectorised_with_their_padding(name):
    module = network(name)
    assert module.config._attn_implementation == "sdpa"
    assert_as_slow(module, names_of(module), NextTokenMargin(), windows())
    assert module.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_encoders_that_look_into_their_mask_go_one_at_a_time_where_it_hides_something(name, padded, monkeypatch):
    module = network(name).eval()
    module.config.use_cache = False
    inputs = windows(padded)
    blocks = find_blocks(module, 3, inputs["input_ids"][:1, :5])
    output = ProbeMargin(blocks.capturing, 2, torch.linspace(-1, 1, 32), 0.3)
    names = parameters_below(module, blocks.capturing, 2, inputs)
    calls = []
    module.register_forward_pre_hook(lambda *_: calls.append(1))
    ExampleGradients(module, names, output).of(inputs)
    assert len(calls) == (EXAMPLES + 1 if padded else 1)
    assert_as_slow(module, names, output, inputs)


def test_a_probe_s_margin_depends_on_the_layers_below_it_alone_and_stops_there():
    module = network("gpt_neox").eval()
    module.config.use_cache = False
    inputs = windows()
    blocks = find_blocks(module, 3, inputs["input_ids"][:1, :5])
    names = parameters_below(module, blocks.capturing, 2, inputs)
    assert names
    assert {name.split(".")[2] for name in names if ".layers." in name} == {"0", "1"}
    assert "gpt_neox.embed_in.weight" in names
    assert not any("final_layer_norm" in name or "embed_out" in name for name in names)
    later = []
    module.gpt_neox.layers[2].register_forward_pre_hook(lambda *_: later.append(1))
    signs, places = torch.tensor([1, -1, 1, 1, -1]), torch.tensor([8, 3, 0, 6, 2])
    output = ProbeMargin(blocks.capturing, 2, torch.linspace(-1, 1, 32), 0.3)
    mean = assert_as_slow(module, names, output, inputs, signs=signs)
    placed = assert_as_slow(module, names, output, inputs, signs=signs, places=places)
    assert not later
    assert (mean.outputs - placed.outputs).abs().min() > 1e-4


def test_a_probe_s_output_is_what_its_states_say():
    module = convolution().eval()
    weights, signs = torch.tensor([0.5, -1.0, 2.0, 0.1]), torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    output = ProbeMargin(capturing_of(module[1]), 1, weights, -0.2)
    found = ExampleGradients(module, ("0.weight", "1.bias"), output).of({"input": IMAGES}, signs=signs)
    with torch.no_grad():
        expected = signs * (module[:2](IMAGES).mean((2, 3)) @ weights - 0.2)
    assert torch.allclose(found.outputs, expected, atol=1e-6)
    assert torch.allclose(found.doubts, 1 - torch.sigmoid(expected), atol=1e-6)
    # the mean over places of the normalised map moves with its shift alone, place by place the same
    assert torch.allclose(found.parts[1], signs[:, None] * weights, atol=1e-6)
    assert parameters_below(module, output.capturing, 1, {"input": IMAGES}) == (
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
    )


def test_padding_changes_neither_margin_nor_pooled_state():
    module = network("gpt_neox").eval()
    inputs = windows()
    ends = inputs["attention_mask"].sum(1)
    found = ExampleGradients(module, ("gpt_neox.final_layer_norm.bias",), NextTokenMargin()).of(inputs)
    for row in range(EXAMPLES):
        alone = {name: values[row : row + 1, : ends[row]] for name, values in inputs.items()}
        own = ExampleGradients(module, ("gpt_neox.final_layer_norm.bias",), NextTokenMargin()).of(alone)
        assert torch.allclose(own.rows[0], found.rows[row], atol=1e-6)
        logits = module(**alone).logits[0, :-1].detach()
        chance = logits.softmax(-1).gather(1, alone["input_ids"][0, 1:, None])[:, 0]
        assert torch.isclose(own.outputs[0], (chance / (1 - chance)).log().mean(), atol=1e-4)
        assert torch.isclose(own.doubts[0], (1 - chance).mean(), atol=1e-5)


def test_a_window_of_one_token_predicts_nothing():
    inputs = {"input_ids": torch.tensor([[5, 0, 0]]), "attention_mask": torch.tensor([[1, 0, 0]])}
    module = network("gpt_neox")
    found = ExampleGradients(module, names_of(module), NextTokenMargin()).of(inputs)
    assert found.outputs.item() == found.doubts.item() == 0
    assert not found.rows.any()


def test_the_margin_by_hand():
    logits = torch.tensor([[0.0, 1.0, 2.0], [1000.0, 0.0, 0.0]])
    assert margin(logits[:1], torch.tensor([2])).item() == pytest.approx(
        2 - torch.tensor([0.0, 1.0]).logsumexp(0).item()
    )
    assert margin(logits[1:], torch.tensor([0])).item() == pytest.approx(
        1000 - 0.6931472
    )  # where 1 - p is 0 in float32
    assert margin(torch.zeros(1, 2), torch.tensor([1])).item() == 0


def test_pooling_by_hand():
    states = torch.tensor([[[1.0, 10.0], [3.0, 30.0], [100.0, 0.0]]])
    mask = {"attention_mask": torch.tensor([[1, 1, 0]])}
    assert pooled(states, mask, {}).tolist() == [2.0, 20.0]
    assert pooled(states, mask, {"places": torch.tensor(2)}).tolist() == [100.0, 0.0]
    assert pooled(states[:, :2], {}, {}).tolist() == [2.0, 20.0]
    assert pooled(states[:, 0], {}, {}).tolist() == [1.0, 10.0]
    assert pooled(torch.arange(8.0).reshape(1, 2, 2, 2), {}, {}).tolist() == [1.5, 5.5]


def test_tied_weights_have_one_gradient():
    module = network("gpt2")
    assert module.lm_head.weight is module.transformer.wte.weight
    found = ExampleGradients(module, ("transformer.wte.weight",), NextTokenMargin()).of(windows())
    loss, _ = NextTokenMargin()(module.eval(), {name: values[:1] for name, values in windows().items()}, {})
    loss.backward()
    assert torch.allclose(found.rows[0], module.transformer.wte.weight.grad.flatten(), atol=1e-5)


def test_each_mistake_is_named():
    module = image_classifier()
    inputs, names = {"pixel_values": IMAGES}, names_of(module)
    with pytest.raises(BadInput, match=r"^'head' is no parameter of the network$"):
        ExampleGradients(module, ("head",), ClassMargin())
    with pytest.raises(BadInput, match=r"^there are no parameters named$"):
        ExampleGradients(module, (), ClassMargin())
    with pytest.raises(
        BadInput, match=re.escape("inputs and targets need the same examples, one at least; got [4, 5]")
    ):
        ExampleGradients(module, names, ClassMargin()).of(inputs, labels=LABELS[:4])
    with pytest.raises(BadInput, match=re.escape("one at least; got [0]")):
        ExampleGradients(module, names, ClassMargin()).of({"pixel_values": IMAGES[:0]}, labels=LABELS[:0])
    one = nn.Linear(3, 1)
    with pytest.raises(BadInput, match=r"^a margin needs scores of two classes or more; the network gives 1$"):
        ExampleGradients(one, ("weight",), ClassMargin()).of({"input": torch.ones(2, 3)}, labels=torch.zeros(2))
    probe = ProbeMargin(capturing_of(one), 1, torch.ones(4))
    with pytest.raises(NetworkMismatch, match=r"^layer 1 has width 1, and the probe is of 4$"):
        ExampleGradients(one, ("weight",), probe).of({"input": torch.ones(2, 3)})
    probe = ProbeMargin(capturing_of(one), 2, torch.ones(4))
    with pytest.raises(NetworkMismatch, match=r"^layer 2 is not called in a forward pass$"):
        ExampleGradients(one, ("weight",), probe).of({"input": torch.ones(2, 3)})
    still = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(
        BadInput, match=r"^layer 1 has no parameters below it: nothing that could be trained made its states$"
    ):
        parameters_below(still, capturing_of(still[0]), 1, {"input": torch.ones(2, 4)})
