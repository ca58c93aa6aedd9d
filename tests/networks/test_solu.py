"""SoLU: its formula, and a network that has it, saved and found again."""

from __future__ import annotations

import numpy as np
import torch

from service.networks.checkpoints import find_checkpoints, load
from service.networks.solu import SoLU
from service.networks.training import Recipe, small_decoder, train, train_tokenizer

TEXTS = ["the cat sat on the mat and the dog lay by the door. " * 40]


def test_it_is_the_normed_product_of_a_state_and_its_softmax():
    states = np.random.default_rng(0).normal(size=(5, 7)) * 3
    weights = np.exp(states) / np.exp(states).sum(axis=1, keepdims=True)
    product = states * weights
    expected = (product - product.mean(axis=1, keepdims=True)) / np.sqrt(product.var(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(SoLU()(torch.tensor(states)).numpy(), expected, atol=1e-12)


def test_a_trained_solu_network_is_found_again_with_its_activation(tmp_path):
    tokenizer = train_tokenizer(TEXTS, 270, "causal")
    module = small_decoder(16, 2, len(tokenizer), activation="solu")
    train(module, tokenizer, TEXTS, tmp_path / "solu", Recipe(3, (3,), batch=2, length=16, threads=1))
    found = load(find_checkpoints(str(tmp_path / "solu"))[-1], device="cpu")
    assert (found.facts.activation, found.facts.family) == ("solu", "gpt_neox")
    tokens = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        assert torch.equal(found.module(tokens).logits, module.eval()(tokens).logits)
        plain = small_decoder(16, 2, len(tokenizer)).eval()
        plain.load_state_dict(module.state_dict())
        assert not torch.allclose(plain(tokens).logits, found.module(tokens).logits, atol=1e-3)
