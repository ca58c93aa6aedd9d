"""Where the layers are: what is read at each site is what Hugging Face calls that hidden state."""

from __future__ import annotations

import pytest
import torch
from tiny_networks import ARCHITECTURES, ENCODERS, saved

from service.errors import NetworkMismatch
from service.networks.blocks import find_blocks
from service.networks.checkpoints import find_checkpoints, load


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request, tmp_path_factory):
    """A random network of each architecture."""
    folder = saved(request.param, tmp_path_factory.mktemp(request.param) / request.param)
    return load(find_checkpoints(str(folder))[0], device="cpu")


def captured(network, token_ids):
    """The states by depth, and Hugging Face's own hidden states, of one pass."""
    states = {}
    with torch.no_grad(), network.blocks.capturing(lambda depth, state: states.setdefault(depth, state)):
        output = network.module(token_ids, output_hidden_states=True)
    return states, output.hidden_states


TOKENS = torch.arange(5, 29).reshape(2, 12)


def test_every_site_is_the_hidden_state_it_says_it_is(network):
    states, hidden = captured(network, TOKENS)
    assert sorted(states) == [layer for layer, _, _ in network.sites]
    entries = {entry: layer for layer, _, entry in network.sites if entry is not None}
    assert sorted(entries) == list(range(len(hidden)))
    for entry, layer in entries.items():
        assert torch.equal(states[layer], hidden[entry]), (layer, entry)


def test_the_last_entry_is_known_to_be_normed_where_there_is_a_final_norm(network):
    states, hidden = captured(network, TOKENS)
    layers, normed_inside = network.facts.layers, network.facts.family in set(ENCODERS) - {"modernbert"}
    assert network.facts.normed_entry == (None if normed_inside else layers)
    assert network.sites[-1][:2] == ((layers, "residual") if normed_inside else (layers + 1, "final"))
    if not normed_inside:
        assert not torch.equal(states[layers].mean(), hidden[layers].mean())


def test_the_first_site_is_the_input_of_the_first_block(network):
    given = []
    first = network.blocks.modules[0]
    hook = first.register_forward_pre_hook(
        lambda _, args, kwargs: given.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
    )
    states, _ = captured(network, TOKENS)
    hook.remove()
    assert torch.equal(states[0], given[0])
    assert network.sites[0] == (0, "embedding", 0)


def hooks(network):
    """How many hooks there are; transformers keeps some of its own."""
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.module.modules())


def test_a_pass_that_starts_after_a_block_on_its_own_states_ends_as_it_did(network):
    states, _ = captured(network, TOKENS)
    with torch.no_grad():
        logits = network.module(TOKENS).logits
        for layer in range(1, network.facts.layers + 1):
            with network.blocks.starting_after(layer, lambda layer=layer: states[layer]):
                assert torch.equal(network.module(TOKENS).logits, logits)
    assert network.blocks.bare
    assert not any("forward" in vars(module) for module in network.module.modules())


def test_hooks_are_gone_after_a_pass_that_fails(decoder):
    def fail(depth, state):
        raise RuntimeError("no more")

    before = hooks(decoder)
    with decoder.blocks.capturing(fail):
        assert hooks(decoder) > before
    with pytest.raises(RuntimeError, match="no more"), decoder.blocks.capturing(fail):
        decoder.module(TOKENS)
    assert hooks(decoder) == before


def test_a_pass_after_one_that_failed_counts_its_layers_from_the_start(decoder):
    def fail_late(depth, state):
        if depth == 2:
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError), decoder.blocks.capturing(fail_late):
        decoder.module(TOKENS)
    states, _ = captured(decoder, TOKENS)
    assert sorted(states) == [0, 1, 2, 3, 4]


def test_several_passes_can_be_captured_one_after_the_other(decoder):
    depths = []
    with torch.no_grad(), decoder.blocks.capturing(lambda depth, state: depths.append(depth)):
        decoder.module(TOKENS)
        decoder.module(TOKENS)
    assert depths == 2 * [0, 1, 2, 3, 4]


def test_a_network_whose_layers_are_not_found_is_refused_in_one_line(decoder):
    with pytest.raises(
        NetworkMismatch, match=r"^the layers of this GPTNeoXForCausalLM were not found: .*called 7 times"
    ):
        find_blocks(decoder.module, 7, TOKENS)
