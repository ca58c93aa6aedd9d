"""Deltas: put into a network and taken out bit for bit, kept as files, and refused where they do not belong."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from edit_networks import edit_of, everything, image_cases, same, text_cases
from safetensors.torch import save

from service.errors import BadInput, NetworkMismatch
from service.networks.checkpoints import find_checkpoints, load
from service.networks.edit_layers import matrix_of, named_layer
from service.networks.edits import (
    Delta,
    FullChange,
    LowRankChange,
    applied,
    base_digest,
    delta_bytes,
    read_delta,
)


def full_delta(network):
    """New numbers in the place of two parameters, one of them a batch norm's."""
    generator = torch.Generator().manual_seed(0)
    values = {name: network.module.get_parameter(name) for name in ("head.weight", "block.norm.bias")}
    changes = {name: FullChange(torch.randn(value.shape, generator=generator)) for name, value in values.items()}
    return Delta(edit_of(network, "fine-tuning"), base_digest(network.module), changes)


def ranked_delta(network, layer, rank=2):
    """A change of a layer's weight of that rank."""
    generator, (outputs, inputs) = torch.Generator().manual_seed(1), matrix_of(network, layer).shape
    change = LowRankChange(
        torch.randn(outputs, rank, generator=generator), torch.randn(rank, inputs, generator=generator)
    )
    edit = edit_of(network, "low-rank", layer, rank=rank)
    return Delta(edit, base_digest(network.module), {f"{layer}.weight": change})


def test_within_the_block_the_weights_are_the_edited_ones_and_afterwards_its_own(normed):
    before = everything(normed)
    full, ranked = full_delta(normed), ranked_delta(normed, "block.second")
    with applied(normed, full):
        assert torch.equal(normed.module.head.weight, full.changes["head.weight"].value)
        assert not same(before, everything(normed))
    assert same(before, everything(normed))
    own, change = matrix_of(normed, "block.second").clone(), ranked.changes["block.second.weight"]
    with applied(normed, ranked):
        assert torch.equal(matrix_of(normed, "block.second"), own + change.left @ change.right)
        assert torch.linalg.matrix_rank(matrix_of(normed, "block.second") - own, rtol=1e-4) == 2
    assert same(before, everything(normed))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_all_is_as_before_also_after_an_exception_and_after_training_within_the_block(normed, error):
    before, delta = everything(normed), full_delta(normed)
    value = delta.changes["head.weight"].value.clone()

    def failing():
        with applied(normed, delta), torch.no_grad():
            normed.module.head.weight.mul_(3)
            raise error

    with pytest.raises(error):
        failing()
    assert same(before, everything(normed))
    assert torch.equal(delta.changes["head.weight"].value, value)


def test_a_delta_read_again_gives_the_same_logits_in_a_classifier_and_a_decoder(normed, decoder, tmp_path):
    layer = named_layer(decoder, "2")
    pairs = (
        (normed, full_delta(normed), image_cases(normed)),
        (normed, ranked_delta(normed, "stem.0", 1), image_cases(normed)),
        (decoder, ranked_delta(decoder, layer), text_cases(decoder)),
    )
    for number, (network, delta, cases) in enumerate(pairs):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(delta_bytes(delta))
        with torch.no_grad():
            untouched = cases.logits(network)
            with applied(network, delta):
                expected = cases.logits(network)
            for again in (read_delta(path), read_delta(path.read_bytes())):
                assert (again.edit, again.base_digest) == (delta.edit, delta.base_digest)
                with applied(network, again):
                    assert torch.equal(cases.logits(network), expected)
        assert not torch.allclose(untouched, expected)


def test_the_same_delta_is_the_same_bytes_and_one_without_changes_is_a_file_too(normed):
    assert delta_bytes(full_delta(normed)) == delta_bytes(full_delta(normed))
    none = Delta(edit_of(normed, "fine-tuning"), base_digest(normed.module), {})
    assert read_delta(delta_bytes(none)).changes == {}


def test_numbers_of_half_the_width_come_back_as_they_were(normed):
    value = torch.randn(10, 12).to(torch.bfloat16)
    delta = Delta(edit_of(normed, "one-layer", "head"), "0" * 16, {"head.weight": FullChange(value)})
    again = read_delta(delta_bytes(delta)).changes["head.weight"].value
    assert again.dtype == torch.bfloat16
    assert torch.equal(again, value)


def test_a_delta_for_another_network_is_refused_in_one_line_and_nothing_is_changed(normed, decoder, decoder_folder):
    earlier = load(find_checkpoints(str(decoder_folder))[0], device="cpu")
    delta = ranked_delta(earlier, named_layer(earlier, "1"))
    before = everything(decoder)
    line = (
        r"^the edit \w{16} is of a network whose weights have digest \w{16}, and those of tiny-decoder step64 have \w{16}: "
        r"load the network that was edited, with the same dtype$"
    )
    with pytest.raises(NetworkMismatch, match=line):
        applied(decoder, delta).__enter__()
    with applied(decoder, delta, checked=True):
        assert not same(before, everything(decoder))
    assert same(before, everything(decoder))
    with pytest.raises(NetworkMismatch, match=r"changes gpt_neox.* and .*normed.* has no such weight$"):
        applied(normed, delta, checked=True).__enter__()
    wrong = Delta(delta.edit, "", {"head.weight": FullChange(torch.zeros(2, 2))})
    with pytest.raises(NetworkMismatch, match=r"changes head.weight, and .* has it of shape \(10, 12\)$"):
        applied(normed, wrong, checked=True).__enter__()


def test_the_digest_moves_with_every_weight_and_buffer(normed):
    before = base_digest(normed.module)
    assert len(before) == 16
    with applied(normed, full_delta(normed)):
        assert base_digest(normed.module) != before
    mean = normed.module.block.norm.running_mean
    kept = mean.clone()
    mean[0] += 1
    assert base_digest(normed.module) != before
    mean.copy_(kept)
    assert base_digest(normed.module) == before


def damaged_files(network):
    """Bytes that are no delta, and what is said of them."""
    body = delta_bytes(full_delta(network))
    flipped = bytearray(body)
    flipped[-5] ^= 1
    length = struct.unpack("<Q", body[:8])[0]
    header = json.loads(body[8 : 8 + length])
    said = json.loads(header["__metadata__"]["isoscope"])
    other_format = save({}, {"isoscope": json.dumps(said | {"format": 99})})
    return {
        "is empty: the safetensors file of an edit is needed": b"",
        "is no edit's safetensors file, or is damaged": b"not a safetensors file",
        "or is damaged: ": body[: len(body) // 2],
        "is damaged: its weights are not those that were written": bytes(flipped),
        "holds no edit of Isoscope": save({"weight": torch.zeros(3)}),
        "has format 99 of edits, and this version of Isoscope reads 1": other_format,
        "damaged: 'edit'": save({}, {"isoscope": '{"format": 1, "tensors": "e3b0c44298fc1c14"}'}),
    }


def test_files_that_are_no_delta_are_refused_in_one_line(normed, tmp_path):
    path = tmp_path / "edit.safetensors"
    for said, body in damaged_files(normed).items():
        path.write_bytes(body)
        with pytest.raises(BadInput, match=said) as refused:
            read_delta(path)
        assert "\n" not in str(refused.value)
        assert str(path) in str(refused.value)
    with pytest.raises(BadInput, match=r"cannot be read: No such file"):
        read_delta(tmp_path / "absent")
