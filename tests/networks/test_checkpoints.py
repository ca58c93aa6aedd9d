"""Which checkpoints a name stands for: folders, folders of folders, and the hub's local cache."""

from __future__ import annotations

import json
import shutil

import pytest
from huggingface_hub import constants

from service.errors import NetworkMismatch, UnknownName
from service.networks.checkpoints import find_checkpoints, load
from service.networks.folders import step_of_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "fedcba9876543210fedcba9876543210fedcba98"


def steps(sources) -> list[int | None]:
    return [source.checkpoint.step for source in sources]


def one_line(error) -> str:
    """The message, which must be one line."""
    said = str(error.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("step1000", 1000),
        ("checkpoint-500", 500),
        ("global_step20", 20),
        ("pythia-step3", 3),
        ("final", None),
        ("gpt2", None),
        ("tmp-checkpoint-500", None),
        (".step8.draft", None),
        ("step8.draft", None),
    ],
)
def test_a_name_says_its_step(name, step):
    assert step_of_name(name) == step


def test_a_folder_of_checkpoints_is_all_of_them_by_step(decoder_folder):
    sources = find_checkpoints(str(decoder_folder))
    assert steps(sources) == [0, 1, 16, 64]
    assert {source.checkpoint.model for source in sources} == {"tiny-decoder"}
    assert len({source.checkpoint.revision for source in sources}) == 4
    assert all(len(source.checkpoint.revision) == 16 for source in sources)


def test_trainers_folders_are_ordered_by_step_and_not_by_name(decoder_folder, tmp_path):
    for name in ("checkpoint-1000", "checkpoint-500", "checkpoint-2000"):
        shutil.copytree(decoder_folder / "step1", tmp_path / "run" / name)
    (tmp_path / "run" / "tmp-checkpoint-3000").mkdir()
    (tmp_path / "run" / "logs").mkdir()
    assert steps(find_checkpoints(str(tmp_path / "run"))) == [500, 1000, 2000]


@pytest.mark.parametrize(
    ("revisions", "found"),
    [(["step16"], [16]), (["step64", "step0"], [0, 64]), (["step1*"], [1, 16]), (["step[06]*", "step0"], [0, 64])],
)
def test_revisions_are_names_or_patterns(decoder_folder, revisions, found):
    assert steps(find_checkpoints(str(decoder_folder), revisions)) == found


def test_a_revision_that_is_not_there_is_answered_with_the_nearest(decoder_folder):
    with pytest.raises(UnknownName) as error:
        find_checkpoints(str(decoder_folder), ["step65"])
    assert one_line(error) == "unknown revision 'step65': did you mean 'step64'? known: step0, step1, step16, step64"


def test_a_checkpoint_opened_directly_is_the_one_that_its_parent_holds(decoder_folder):
    alone = find_checkpoints(str(decoder_folder / "step16"))
    assert alone == find_checkpoints(str(decoder_folder), ["step16"])


def test_a_name_given_is_the_models_name(decoder_folder):
    assert find_checkpoints(str(decoder_folder), name="mine")[0].checkpoint.model == "mine"


def test_a_folder_that_is_named_for_nothing_has_trainers_step(decoder_folder, tmp_path):
    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "final")
    assert steps(find_checkpoints(str(folder))) == [None]
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 700}))
    assert steps(find_checkpoints(str(folder))) == [700]
    (folder / "trainer_state.json").write_text("{")
    with pytest.raises(NetworkMismatch, match=r"does not say its global_step: delete it, or name the folder step<N>$"):
        find_checkpoints(str(folder))


def test_other_weights_or_another_config_are_another_revision(decoder_folder, tmp_path):
    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "step16")
    revisions = [find_checkpoints(str(folder))[0].checkpoint.revision]
    assert revisions[0] == find_checkpoints(str(decoder_folder), ["step16"])[0].checkpoint.revision
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    revisions.append(find_checkpoints(str(folder))[0].checkpoint.revision)
    shutil.copy(decoder_folder / "step64" / "model.safetensors", folder)
    revisions.append(find_checkpoints(str(folder))[0].checkpoint.revision)
    assert len(set(revisions)) == 3


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(NetworkMismatch) as error:
        find_checkpoints(str(tmp_path))
    assert "is no checkpoint: there is no config.json in it" in one_line(error)


def test_a_file_is_no_checkpoint(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(NetworkMismatch, match=r"is a file: a checkpoint is a folder with config\.json and safetensors"):
        find_checkpoints(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize(
    ("left", "reason"), [("pytorch_model.bin", "only pickled weights, which are never loaded"), (None, "no weights")]
)
def test_a_checkpoint_without_safetensors_is_refused(decoder_folder, tmp_path, left, reason):
    folder = shutil.copytree(decoder_folder, tmp_path / "run")
    (folder / "step16" / "model.safetensors").unlink()
    if left:
        (folder / "step16" / left).write_bytes(b"pickled")
    with pytest.raises(NetworkMismatch) as error:
        find_checkpoints(str(folder))
    said = one_line(error)
    assert said.startswith(str(folder / "step16"))
    assert f"has {reason}: it needs *.safetensors" in said


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "some/deep/folder"])
def test_a_path_that_is_not_there_is_no_hub_name(name):
    with pytest.raises(UnknownName, match=r"there is no such folder$"):
        find_checkpoints(name)


@pytest.fixture
def warm_cache(decoder_folder, tmp_path, monkeypatch):
    """A local hub cache in which ``lab/tiny`` lies at two revisions."""
    home = tmp_path / "models--lab--tiny"
    for commit, ref, step in ((COMMIT, "main", "step64"), (OTHER, "step16", "step16")):
        shutil.copytree(decoder_folder / step, home / "snapshots" / commit)
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / ref).write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_offline_a_hub_name_is_found_in_the_local_cache(warm_cache):
    (source,) = find_checkpoints("lab/tiny")
    assert (source.checkpoint.model, source.checkpoint.step, source.checkpoint.revision) == ("lab/tiny", None, COMMIT)
    assert (source.location, source.hub_revision) == ("lab/tiny", COMMIT)
    assert steps(find_checkpoints("lab/tiny", ["step*"])) == [16]
    assert find_checkpoints("lab/tiny", [OTHER])[0].checkpoint.revision == OTHER


def test_offline_a_network_is_loaded_from_the_local_cache(warm_cache, monkeypatch, decoder):
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(warm_cache))
    network = load(find_checkpoints("lab/tiny")[0], device="cpu")
    assert network.facts.parameters == decoder.facts.parameters
    assert network.checkpoint.revision == COMMIT


def test_a_hub_model_that_nothing_here_has_is_one_line():
    with pytest.raises(UnknownName) as error:
        find_checkpoints("lab/nothing")
    assert one_line(error) == (
        "unknown model 'lab/nothing': there is no folder of that name, and the hub cannot be reached, and revision main "
        "is not in the local cache"
    )
    with pytest.raises(UnknownName, match="the hub cannot be reached, and the local cache does not have it"):
        find_checkpoints("lab/nothing", ["step*"])


def test_a_hub_revision_that_matches_nothing_names_those_there_are(warm_cache):
    with pytest.raises(UnknownName) as error:
        find_checkpoints("lab/tiny", ["stage*"])
    assert one_line(error).startswith("unknown revision of lab/tiny 'stage*': did you mean 'step16'? known: ")
