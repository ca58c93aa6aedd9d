"""Two networks and a map between them: what a stitching costs, what it leaves alone, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_networks import saved

from service.errors import BadInput, NetworkMismatch, UnknownName
from service.networks.annealing import Annealing
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.stitch_maps import StitchMap, fitted_map
from service.networks.stitch_training import Stitching, StitchTexts, paired_difference, stitch_texts
from service.networks.stitches import Stitch, states_at


@pytest.fixture(scope="module")
def early(decoder_folder):
    return load(find_checkpoints(str(decoder_folder), ("step16",))[0], device="cpu")


def stitching_of(bottom, top, layers=(2, 2), steps=6):
    seam = Stitch(bottom, top, *layers)
    return Stitching(seam, stitch_texts(open_dataset("python-reference"), seam, steps))


def everything(network):
    """What must not change: weights, buffers, whether they ask for gradients and have one, hooks, modes, own functions."""
    return (
        {name: value.clone() for name, value in network.module.state_dict().items()},
        [(weight.requires_grad, weight.grad is None) for weight in network.module.parameters()],
        [
            (len(m._forward_hooks), len(m._forward_pre_hooks), m.training, "forward" in vars(m))
            for m in network.module.modules()
        ],
    )


def same(one, other):
    return all(torch.equal(one[0][name], other[0][name]) for name in one[0]) and one[1:] == other[1:]


def test_a_network_stitched_to_itself_loses_nothing(decoder):
    stitching = stitching_of(decoder, decoder)
    identity = stitching.result("identity", 6)
    assert identity.penalty == pytest.approx(0, abs=1e-5)
    assert (identity.accuracy, identity.steps, identity.converged) == (identity.accuracy_of_b, 0, None)
    assert abs(stitching.result("affine", 6).penalty) < 0.02
    assert abs(stitching.result("least-squares", 6).penalty) < 1e-3
    turned = stitching.result("procrustes", 6)
    assert turned.penalty == pytest.approx(0, abs=1e-5)
    assert (turned.steps, turned.converged, turned.curve) == (0, None, ())


def test_the_states_are_those_of_hugging_face_and_the_rest_is_not_computed(decoder):
    inputs = {"input_ids": torch.arange(12).reshape(2, 6), "attention_mask": torch.ones(2, 6, dtype=torch.long)}
    with torch.no_grad():
        expected = decoder.module(**inputs, output_hidden_states=True).hidden_states[2]
    assert torch.equal(states_at(decoder, 2, inputs), expected)


def test_the_blocks_below_the_seam_are_not_run_and_the_numbers_are_those_with_them(decoder, early):
    run = []
    hooks = [
        block.mlp.register_forward_hook(lambda *_, depth=depth: run.append(depth))
        for depth, block in enumerate(decoder.blocks.modules, start=1)
    ]
    seam = Stitch(early, decoder, 1, 2)
    whole = replace(decoder, blocks=replace(decoder.blocks, bare=False))  # of a kind that is run all the same
    inputs = {"input_ids": torch.arange(12).reshape(2, 6), "attention_mask": torch.ones(2, 6, dtype=torch.long)}
    phi = StitchMap("identity")
    with torch.no_grad():
        found = seam.logits(phi, inputs)
        assert run == [3]
        assert torch.equal(found, replace(seam, top=whole).logits(phi, inputs))
        assert run == [3, 1, 2, 3]
    for hook in hooks:
        hook.remove()


def test_training_lowers_the_loss_from_its_start_and_a_trained_map_beats_the_identity(decoder, early):
    stitching = stitching_of(early, decoder, steps=24)
    found = stitching.result("orthogonal", 24)
    held_out = [point.loss for point in found.curve if point.texts == "held-out"]
    assert len(held_out) > 12
    assert found.loss == pytest.approx(held_out[-1])
    assert held_out[-1] < held_out[0] - 0.01
    assert found.penalty == pytest.approx(found.loss - found.loss_of_b)
    assert 0 < found.penalty_std_error < 0.1
    assert stitching.result("affine", 24).loss < stitching.result("identity", 24).loss


def test_a_map_is_trained_until_it_rests_and_one_without_the_time_for_it_has_not_converged(decoder):
    seam = Stitch(decoder, decoder, 2, 2)
    texts = stitch_texts(open_dataset("python-reference"), seam, 240)
    stitching = Stitching(seam, StitchTexts(texts.training, texts.held_out[:16]))
    rested = stitching.result("orthogonal", 240)
    assert rested.converged
    assert rested.note == f"each of 860 texts was trained on {rested.steps * 8 / 860:.1f} times"
    assert rested.steps == max(point.step for point in rested.curve) < 240
    hurried = stitching.result("orthogonal", 5)
    assert (hurried.converged, hurried.steps) == (False, 5)
    assert "evaluations at one rate are too few to judge convergence by" in hurried.note


def test_everything_but_the_map_stays_bit_for_bit_the_same_also_after_an_error(decoder, early):
    before = everything(decoder), everything(early)
    stitching_of(early, decoder).result("affine", 3)

    def pull(done, total):
        raise KeyboardInterrupt

    interrupted = stitching_of(early, decoder)
    interrupted.on_step = pull
    with pytest.raises(KeyboardInterrupt):
        interrupted.result("affine", 3)
    assert same(before[0], everything(decoder))
    assert same(before[1], everything(early))


def test_the_orthogonal_map_stays_orthogonal_and_moves(decoder, early):
    stitching = stitching_of(early, decoder)
    with stitching.stitch.frozen():
        phi = stitching.fitted("orthogonal")
        start = phi.weight.detach().clone()
        list(stitching.trained(phi, Annealing(5)))
    assert not torch.allclose(phi.weight, start, atol=1e-4)
    assert torch.allclose(phi.weight.T @ phi.weight, torch.eye(32), atol=1e-5)


def test_the_closed_forms_are_numpys_and_procrustes_finds_a_rotation():
    draw = torch.Generator().manual_seed(0)
    points, targets = (torch.randn(80, width, generator=draw, dtype=torch.float64) for width in (5, 3))
    expected = np.linalg.lstsq(np.c_[points, np.ones(80)], targets.numpy(), rcond=None)[0]
    phi = fitted_map("least-squares", points, targets)
    np.testing.assert_allclose(torch.cat([phi.weight, phi.shift[None]]).detach(), expected, atol=1e-6)
    without = np.linalg.lstsq(points.numpy(), targets.numpy(), rcond=None)[0]
    np.testing.assert_allclose(fitted_map("linear", points, targets).weight.detach(), without, atol=1e-6)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=draw, dtype=torch.float64)).Q
    for kind in ("orthogonal", "procrustes"):
        found = fitted_map(kind, points, points @ turn).weight
        torch.testing.assert_close(found.detach().double(), turn, atol=1e-6, rtol=0)


def test_different_widths_and_architectures_are_stitched_and_the_identity_says_why_not(tmp_path):
    narrow, wide = (
        load(find_checkpoints(str(saved(name, tmp_path / name, **sizes)))[0], device="cpu")
        for name, sizes in (("gpt2", {}), ("llama", {"hidden_size": 48}))
    )
    stitching = stitching_of(narrow, wide, (1, 2), steps=2)
    assert np.isfinite([stitching.result(kind, 2).penalty for kind in ("affine", "orthogonal")]).all()
    with pytest.raises(NetworkMismatch, match=r"^the identity needs equal widths, and these are 32 and 48: give --map"):
        stitching.result("identity", 2)


def test_what_cannot_be_stitched_is_one_clear_line(decoder, encoder, byte_folder, early):
    other = load(find_checkpoints(str(byte_folder))[-1], device="cpu")
    said = r"^tiny-decoder step64 and tiny-bytes step64 have vocabularies of 400 and 257 tokens: stitched networks read"
    with pytest.raises(NetworkMismatch, match=said):
        Stitch(decoder, other, 1, 1)
    with pytest.raises(NetworkMismatch, match=r"^tiny-encoder step64 does not predict the next token"):
        Stitch(encoder, decoder, 1, 1)
    for layers in ((4, 1), (1, 0)):
        with pytest.raises(
            BadInput, match=r"^layer [40] is not there: tiny-decoder step64 has layers 1 to 3 to stitch"
        ):
            Stitch(decoder, decoder, *layers)
    with pytest.raises(UnknownName, match="unknown map 'afine': did you mean 'affine'"):
        stitching_of(decoder, early).result("afine", 1)
    with pytest.raises(BadInput, match="stitching is trained on text, and random-tokens has none"):
        stitch_texts(open_dataset("random-tokens"), Stitch(decoder, early, 1, 1), 1)


def test_the_texts_held_out_are_of_other_documents(decoder):
    items = open_dataset("python-reference")
    texts = stitch_texts(items, Stitch(decoder, decoder, 1, 1), 1000)
    origins = items.documents()
    sides = [{origins[window.item_id] for window in side} for side in (texts.training, texts.held_out)]
    assert not sides[0] & sides[1]
    assert len(texts.held_out) == 64


def test_a_difference_and_its_error_by_hand():
    tokens = np.array([1.0, 1.0, 2.0])
    value, error = paired_difference(np.array([2.0, 3.0, 4.0]), np.array([1.0, 1.0, 3.0]), tokens)
    assert (value, error) == (1.0, pytest.approx(np.sqrt(3 / 2 * 2) / 4))
