"""The rank-one change obeys its equation and moves other keys least; the moments are those of every input of the layer."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import saved

from service.errors import BadInput, NetworkMismatch
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.edit_layers import named_layer
from service.networks.rome import key_moments, rank_one_update


def equation(seed=0, outputs=5, inputs=12, tokens=200):
    """A weight, a key, a value, the moments of some other keys, and these."""
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(inputs, inputs, generator=draw, dtype=torch.float64)
    others = torch.randn(tokens, inputs, generator=draw, dtype=torch.float64) @ mixing
    weight, key, value = (torch.randn(*shape, generator=draw) for shape in ((outputs, inputs), (inputs,), (outputs,)))
    return weight, key, value, others.T @ others / tokens, others


@pytest.fixture(scope="module")
def reference():
    return open_dataset("python-reference")


def test_the_changed_weight_gives_the_value_for_the_key():
    weight, key, value, moments, _ = equation()
    left, right = rank_one_update(weight, key, value, moments)
    assert ((weight.double() + left @ right) @ key.double()).tolist() == pytest.approx(value.tolist(), abs=1e-12)


def test_keys_at_right_angles_under_the_inverse_moments_give_what_they_gave():
    weight, key, value, moments, others = equation()
    left, right = rank_one_update(weight, key, value, moments)
    ridge = 1e-4 * moments.diagonal().mean() * torch.eye(len(key))
    direction = torch.linalg.inv(moments + ridge) @ key.double()
    apart = others - (others @ direction / (direction @ direction))[:, None] * direction
    assert (others @ right.T).abs().max() > 0.1
    assert (apart @ (left @ right).T).abs().max() < 1e-8 * (others @ (left @ right).T).abs().max()


def test_of_all_changes_that_give_the_value_it_moves_the_other_keys_outputs_least():
    weight, key, value, moments, _ = equation()
    left, right = rank_one_update(weight, key, value, moments)
    found = left @ right
    wanted = value.double() - weight.double() @ key.double()
    metric = moments + 1e-4 * moments.diagonal().mean() * torch.eye(len(key))
    least = torch.trace(found @ metric @ found.T)
    draw = torch.Generator().manual_seed(1)
    for _ in range(20):
        other = torch.randn(len(key), generator=draw, dtype=torch.float64)
        change = found + torch.outer(
            wanted, other - other @ key.double() / (key.double() @ key.double()) * key.double()
        )
        assert (change @ key.double()).tolist() == pytest.approx(wanted.tolist())
        assert torch.trace(change @ metric @ change.T) > least


def test_a_value_worked_out_by_hand():
    """C = diag(1, 4), k = (1, 2): C^-1 k = (1, 1/2), k' C^-1 k = 2, so the change is (v - W k) (1/2, 1/4)."""
    left, right = rank_one_update(
        torch.zeros(1, 2), torch.tensor([1.0, 2.0]), torch.tensor([4.0]), torch.diag(torch.tensor([1.0, 4.0]))
    )
    assert (left @ right).flatten().tolist() == pytest.approx([2.0, 1.0], rel=1e-3)


def test_a_key_of_zeros_is_refused():
    weight, key, value, moments, _ = equation()
    for given in (0 * key, torch.nan * key):
        with pytest.raises(BadInput, match="not all 0"):
            rank_one_update(weight, given, value, moments)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_moments_are_those_of_all_the_layers_inputs_one_after_another(name, tmp_path, reference):
    network = load(find_checkpoints(str(saved(name, tmp_path)))[0], device="cpu")
    layer = named_layer(network, "2")
    found = key_moments(network, layer, reference, 3000)
    inputs = []
    hook = network.module.get_submodule(layer).register_forward_pre_hook(lambda _, args: inputs.append(args[0][0]))
    for window in reference.stream(network.tokenizer, network.max_length):
        if sum(map(len, inputs)) >= 3000:
            break
        with torch.no_grad():
            network.module(torch.from_numpy(window.token_ids)[None])
    hook.remove()
    # batches take the windows in the same order, and of the last one what is left
    keys = torch.cat(inputs)[:3000].double()
    assert (found.layer, found.tokens) == (layer, 3000)
    assert found.moments.dtype == torch.float64
    assert torch.allclose(found.moments, keys.T @ keys / 3000, rtol=1e-4, atol=1e-7)


def test_moments_of_a_short_text_are_of_all_its_tokens(decoder, tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("An int object is a type of object.\n" * 30)
    text = open_dataset(str(path))
    whole = sum(len(window) for window in text.stream(decoder.tokenizer, decoder.max_length))
    assert key_moments(decoder, named_layer(decoder, "1"), text, 10**9).tokens == whole > 0


def test_a_layer_that_is_not_given_tokens_is_refused(decoder, reference):
    with pytest.raises(NetworkMismatch, match="is not called"):
        key_moments(decoder, "gpt_neox.layers", reference, 100)


def test_images_have_no_keys(decoder):
    with pytest.raises(BadInput, match="need a text"):
        key_moments(decoder, named_layer(decoder, "1"), open_dataset("digits"), 100)
