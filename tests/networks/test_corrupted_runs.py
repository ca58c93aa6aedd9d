"""What is put back into corrupted passes of decoders is what the clean one had there, whatever the architecture."""

from __future__ import annotations

import pytest
import torch
from subject_cases import SAMPLES, runs_of, subject_cases
from tiny_networks import saved

from service.networks.causal_trace import case_effects, places_of
from service.networks.checkpoints import find_checkpoints, load


@pytest.mark.parametrize("name", ["decoder", "opt"])
def test_what_the_mlps_give_is_restored_in_a_window_of_layers(name, tmp_path, request, monkeypatch):
    """The slow twin puts the clean outputs of a wider window back by hooks of its own, one place after another."""
    if name == "decoder":
        network = request.getfixturevalue("decoder")
    else:
        network = load(find_checkpoints(str(saved(name, tmp_path / name, initializer_range=0.3)))[0], device="cpu")
    runs = runs_of(network, subject_cases(network, [None]))
    monkeypatch.setattr("service.networks.causal_trace.SHARE_OF_DEPTH", 2 / 3)
    found = case_effects(runs, "mlp")
    modules = [network.module.get_submodule(name) for name in runs.mlps]
    assert {name.rpartition(".")[2] for name in runs.mlps} <= {"dense_4h_to_h", "fc2"}

    def by_hand(layers, place):
        clean = []
        noting = [one.register_forward_hook(lambda _, __, gave: clean.append(gave.clone())) for one in modules]
        network.module(runs.prompt.ids[None, : runs.prompt.end + 1])
        for hook in noting:
            hook.remove()

        def putting(layer):
            def put(_, __, gave):
                width, length = gave.shape[-1], runs.prompt.end + 1
                changed = gave.clone().view(SAMPLES, length, width)
                changed[:, place] = clean[layer].view(length, width)[place]
                return changed.view(gave.shape)

            return put

        hooks = [modules[layer].register_forward_hook(putting(layer)) for layer in layers]
        try:
            return runs.probabilities(torch.arange(SAMPLES))
        finally:
            for hook in hooks:
                hook.remove()

    with torch.no_grad():
        for kind, places in places_of(runs.prompt).items():
            for layer, window in enumerate(([0], [0, 1], [1, 2])):
                one_by_one = torch.stack([by_hand(window, place) - runs.without for place in places])
                assert found[kind][layer].tolist() == pytest.approx(one_by_one.mean(0).tolist(), abs=1e-6)
    assert found["subject-last"].abs().max() > 1e-5
