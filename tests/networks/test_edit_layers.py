"""Which weight matrices a network can be edited in, by name and by depth, in networks of several architectures."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import saved
from torch.nn.functional import conv2d

from service.errors import BadInput, UnknownName
from service.networks.checkpoints import find_checkpoints, load
from service.networks.edit_layers import called, in_shape, matrix_of, named_layer, parameters_from, weight_layers


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    """A GPT-2, whose head is its embedding and whose matrices are transposed."""
    return load(find_checkpoints(str(saved("gpt2", tmp_path_factory.mktemp("tied"))))[0], device="cpu")


def test_weight_layers_come_in_the_order_in_which_they_are_called_without_what_is_not(normed):
    assert weight_layers(normed) == ("stem.0", "block.first", "block.second", "block.shortcut", "head")


def test_a_head_that_is_the_embedding_is_no_weight_layer_and_a_head_of_its_own_is(tied, decoder):
    first = [name.removeprefix("transformer.h.0.") for name in weight_layers(tied)[:4]]
    assert first == ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
    assert not any("lm_head" in name or "wte" in name for name in weight_layers(tied))
    assert weight_layers(decoder)[-1] == "lm_head"
    with pytest.raises(
        BadInput, match=r"lm_head takes no part in a pass, or its weight is an embedding's: give one of"
    ):
        named_layer(tied, "lm_head")


def test_a_depth_is_the_last_matrix_of_its_block_that_gives_the_width_and_no_shortcut(
    normed, tied, decoder, classifier
):
    assert named_layer(decoder, "2") == "gpt_neox.layers.1.mlp.dense_4h_to_h"
    assert named_layer(tied, "3") == "transformer.h.2.mlp.c_proj"
    assert named_layer(normed, "1") == "stem.0"
    assert named_layer(normed, "2") == "block.second"
    assert named_layer(classifier, "3").startswith("vit.layers.2.")
    assert matrix_of(classifier, named_layer(classifier, "3")).shape == (32, 128)


def test_a_name_is_itself_also_where_it_is_a_number():
    stages = load(find_checkpoints("python:convnets:perceptron")[0], device="cpu")
    assert named_layer(stages, "3") == "3"
    with pytest.raises(BadInput, match=r"2 is a ReLU, which has no weight matrix: give one of 1, 3, or a depth"):
        named_layer(stages, "2")


def test_layers_that_are_not_there_are_refused_in_one_line(normed):
    with pytest.raises(UnknownName, match=r"unknown layer of .*normed.* 'block.secnd': did you mean 'block.second'\?"):
        named_layer(normed, "block.secnd")
    with pytest.raises(UnknownName, match=r"layer 3 is not there: .* has layers 1 to 2$"):
        named_layer(normed, "3")
    with pytest.raises(BadInput, match=r"block.norm is a BatchNorm2d, which has no weight matrix: give one of stem.0,"):
        named_layer(normed, "block.norm")
    with pytest.raises(BadInput, match=r"spare takes no part"):
        named_layer(normed, "spare")


def test_a_matrix_takes_a_layers_inputs_to_its_outputs_and_goes_back_into_its_shape(normed, tied):
    convolution = normed.module.get_submodule("block.second")
    patches = torch.randn(2, 12, 3, 3)
    expected = conv2d(patches, convolution.weight)[:, :, 0, 0]
    torch.testing.assert_close(patches.flatten(1) @ matrix_of(normed, "block.second").T, expected)
    transposed = tied.module.get_submodule("transformer.h.0.mlp.c_fc")
    states = torch.randn(3, 32)
    torch.testing.assert_close(
        states @ matrix_of(tied, "transformer.h.0.mlp.c_fc").T + transposed.bias, transposed(states)
    )
    for network, name in ((normed, "block.second"), (tied, "transformer.h.0.mlp.c_fc"), (normed, "head")):
        weight = network.module.get_submodule(name).weight
        assert torch.equal(in_shape(network.module.get_submodule(name), matrix_of(network, name)), weight)


def test_parameters_from_a_layer_on_are_those_called_then_or_later_and_no_tied_head(normed, tied):
    later = parameters_from(normed, "block.second")
    assert set(later) == {
        f"{name}.{part}" for name in ("head", "block.second", "block.shortcut") for part in ("weight", "bias")
    }
    from_last = parameters_from(tied, "transformer.h.2.mlp.c_proj")
    assert set(from_last) == {
        f"transformer.{name}.{part}" for name in ("h.2.mlp.c_proj", "ln_f") for part in ("weight", "bias")
    }


def test_looking_for_layers_leaves_no_hooks(normed):
    assert next(iter(called(normed))) == ""
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in normed.module.modules())
