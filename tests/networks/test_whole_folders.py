"""A checkpoint folder is whole when everything that loading needs is there, to the last byte."""

from __future__ import annotations

import shutil

import pytest

from service.networks.training import small_decoder
from service.networks.whole_folders import lacking, snapshot, training_checkpoints


@pytest.fixture
def whole(decoder_folder, tmp_path):
    return shutil.copytree(decoder_folder / "step16", tmp_path / "step16")


def test_a_saved_checkpoint_lacks_nothing_and_each_shorter_copy_of_its_weights_does(whole):
    assert lacking(whole) is None
    weights = whole / "model.safetensors"
    body = weights.read_bytes()
    for length in (0, 5, 100, len(body) // 2, len(body) - 1):
        weights.write_bytes(body[:length])
        assert "model.safetensors" in lacking(whole)
    weights.write_bytes(body + b"\0")
    assert lacking(whole) == f"model.safetensors has {len(body) + 1:,} of {len(body):,} bytes"


def test_without_a_whole_config_it_is_not_whole(whole):
    config = whole / "config.json"
    config.write_text(config.read_text()[:-5])
    assert lacking(whole) == "config.json is not there, or not whole"
    config.unlink()
    assert lacking(whole) == "config.json is not there, or not whole"


def test_pickled_weights_alone_are_no_weights(whole):
    (whole / "model.safetensors").rename(whole / "pytorch_model.bin")
    assert lacking(whole) == "there are no safetensors weights"


def test_every_shard_that_the_index_names_has_to_be_there_and_so_has_the_index(tmp_path):
    folder = tmp_path / "checkpoint-5"
    small_decoder(32, 2, 300).save_pretrained(folder, max_shard_size="50KB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 2
    assert lacking(folder) is None
    index = folder / "model.safetensors.index.json"
    body = index.read_bytes()
    index.write_bytes(body[:50])
    assert lacking(folder) == "model.safetensors.index.json is not whole"
    index.unlink()
    assert lacking(folder) == "the index of its shards is not there"
    index.write_bytes(body)
    shards[1].unlink()
    assert lacking(folder) == f"{shards[1].name} is not there"


def test_a_header_that_lies_is_refused_without_reading_what_it_claims(whole):
    (whole / "model.safetensors").write_bytes(b"\xff" * 64)
    assert lacking(whole) == "the header of model.safetensors is not whole"


def test_checkpoints_are_listed_by_step_without_drafts_and_other_folders(tmp_path):
    for name in ("checkpoint-10", "checkpoint-9", ".step3", "tmp-checkpoint-11", "logs", "step100"):
        (tmp_path / name).mkdir()
    (tmp_path / "step7").write_text("a file")
    assert [path.name for path in training_checkpoints(tmp_path)] == ["checkpoint-9", "checkpoint-10", "step100"]


def test_a_snapshot_tells_of_names_sizes_and_times(whole):
    before = snapshot(whole)
    assert snapshot(whole) == before
    (whole / "more.json").write_text("{}")
    assert snapshot(whole) != before
    assert snapshot(whole / "more.json") == (("more.json", 2, (whole / "more.json").stat().st_mtime_ns),)
