"""Networks in TransformerLens's format: what they compute, layer by layer, and every reason not to load one."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch
from huggingface_hub import constants
from lens_networks import SIZES, computed, random_weights, saved_lens
from tiny_networks import tokenizer_for

from service.errors import IsoscopeError
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.hidden_states import extract
from service.networks.stitch_training import Stitching, stitch_texts
from service.networks.stitches import Stitch

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKENS = torch.randint(300, (3, 20), generator=torch.Generator().manual_seed(1))


def loaded(folder, **options):
    return load(find_checkpoints(str(folder))[0], device="cpu", **options)


def refusal(folder, **options) -> str:
    """Why the folder is not loaded: one line."""
    with pytest.raises(IsoscopeError) as error:
        loaded(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("lens")
    return {act_fn: saved_lens(root / act_fn, act_fn) for act_fn in ("gelu", "solu_ln")}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("act_fn", ["gelu", "solu_ln"])
@torch.no_grad()
def test_every_layer_and_the_logits_are_those_of_the_formats_own_definition(folders, act_fn, attention):
    stream, normed, logits = computed(random_weights(act_fn), TOKENS, act_fn)
    network = loaded(folders[act_fn], attention=attention)
    taken = {}
    with network.blocks.capturing(taken.__setitem__):
        output = network.module(TOKENS, output_hidden_states=True)
    for depth, expected in enumerate([*stream, normed]):
        torch.testing.assert_close(taken[depth], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.hidden_states[1], stream[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.logits, logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("act_fn", "activation"), [("gelu", "gelu"), ("solu_ln", "solu")])
def test_what_such_a_network_is_is_recorded(folders, act_fn, activation):
    network = loaded(folders[act_fn])
    facts, buffers = network.facts, ("mask", "IGNORE")
    weights = [value for name, value in random_weights(act_fn).items() if not name.endswith(buffers)]
    assert (facts.family, facts.kind, facts.activation, facts.dtype) == ("gpt2", "decoder", activation, "float32")
    assert (facts.layers, facts.width, network.max_length) == (SIZES["n_layers"], SIZES["d_model"], SIZES["n_ctx"])
    assert facts.parameters == sum(value.numel() for value in weights)
    assert facts.weights_digest == network.checkpoint.revision
    assert [site[1] for site in network.sites] == ["embedding", "residual", "residual", "final"]
    assert network.predicts


def test_other_weights_are_another_revision(folders, tmp_path):
    other = saved_lens(tmp_path / "gelu", "gelu", random_weights("gelu", seed=1))
    assert find_checkpoints(str(other))[0].checkpoint.revision != loaded(folders["gelu"]).checkpoint.revision


def test_the_bias_of_the_unembedding_may_be_left_out_and_other_dtypes_are_kept(tmp_path):
    weights = {name: value for name, value in random_weights("gelu").items() if name != "unembed.b_U"}
    half = {name: value.bfloat16() if value.is_floating_point() else value for name, value in weights.items()}
    network = loaded(saved_lens(tmp_path / "half", "gelu", half))
    assert (network.facts.dtype, network.module.lm_head.bias.abs().max()) == ("bfloat16", 0)
    assert loaded(tmp_path / "half", dtype="float32").facts.dtype == "float32"


def test_each_text_begins_with_the_token_that_begins_texts(folders):
    tokenizer, plain = loaded(folders["gelu"]).tokenizer, tokenizer_for("causal")
    encoded = tokenizer("The words of a text", return_offsets_mapping=True)
    assert encoded["input_ids"] == [plain.bos_token_id, *plain("The words of a text")["input_ids"]]
    assert encoded["offset_mapping"][:2] == [(0, 0), (0, 1)]
    assert len(tokenizer("The words of a text", truncation=True, max_length=4)["input_ids"]) == 4
    window = open_dataset("python-reference").windows(tokenizer, 64)[0]
    assert (len(window), bool(window.special[0]), int(window.char_end[0])) == (64, True, 0)


def test_a_tokenizer_that_begins_texts_itself_is_left_as_it_is(folders, tmp_path):
    folder = shutil.copytree(folders["gelu"], tmp_path / "gelu")
    once = loaded(folder).tokenizer
    once.save_pretrained(folder)
    again = loaded(folder).tokenizer
    cut = {"truncation": True, "max_length": 3}
    assert again("some text", **cut)["input_ids"] == once("some text", **cut)["input_ids"]


def test_states_are_extracted_with_a_loss(folders):
    items = open_dataset("python-reference", tokens=2000, window=200)
    summaries = extract(loaded(folders["solu_ln"]), items, sample=256)
    assert [summary.states.shape for summary in summaries] == [(256, SIZES["d_model"])] * 4
    assert summaries[0].loss.loss > 0


def test_one_of_each_activation_is_stitched_to_the_other(folders):
    seam = Stitch(loaded(folders["gelu"]), loaded(folders["solu_ln"]), 1, 1)
    stitching = Stitching(seam, stitch_texts(open_dataset("python-reference", window=200), seam, 4))
    identity, affine = stitching.result("identity", 4), stitching.result("affine", 4)
    assert affine.loss < identity.loss
    itself = Stitching(Stitch(seam.top, seam.top, 1, 1), stitching.texts)
    assert itself.result("identity", 4).penalty == pytest.approx(0, abs=1e-4)


def test_offline_such_a_network_is_loaded_from_the_local_cache(folders, tmp_path, monkeypatch):
    home = tmp_path / "models--lab--lens"
    shutil.copytree(folders["solu_ln"], home / "snapshots" / COMMIT)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    network = loaded("lab/lens")
    assert (network.checkpoint.model, network.checkpoint.revision) == ("lab/lens", COMMIT)
    assert (network.facts.activation, network.facts.weights_digest) == ("solu", None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"act_fn": "relu6x"}, r"unknown act_fn in {}/config.json 'relu6x': did you mean 'relu'? known: gelu, "),
        ({"n_heads": 4}, "{}/config.json has 4 heads of width 8: together they need be 24"),
        ({"d_mlp": None}, "{}/config.json has d_mlp None: a whole number from 1 is needed"),
        (
            {"d_mlp": 41},
            "{}/model_final.pth has blocks.0.mlp.W_in of shape (24, 40): its config.json asks for (24, 41)",
        ),
        ({"n_layers": 3}, "{}/model_final.pth lacks the weight blocks.2.attn.W_Q"),
        ({"normalization": "RMS"}, "{}/config.json has normalization 'RMS': only networks with 'LN' can be loaded"),
        ({"shortformer_pos": True}, "{}/config.json has shortformer_pos True: only networks with False can be loaded"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_line(folders, tmp_path, changes, said):
    folder = shutil.copytree(folders["gelu"], tmp_path / "gelu")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    assert refusal(folder).startswith(said.format(folder))


class Harmful:
    """What a pickle could run."""

    def __reduce__(self):
        return (open, ("harm", "w"))


@pytest.mark.parametrize("damage", ["truncated", "empty", "code", "list", None])
def test_weights_that_are_not_plain_tensors_are_one_line(folders, tmp_path, monkeypatch, damage):
    folder = shutil.copytree(folders["gelu"], tmp_path / "gelu")
    file, said = folder / "model_final.pth", f"{folder}/model_final.pth could not be read: it is damaged, or holds more"
    monkeypatch.chdir(tmp_path)
    match damage:
        case "truncated":
            file.write_bytes(file.read_bytes()[:-2000])
        case "empty":
            file.write_bytes(b"")
        case "code":
            file.write_bytes(pickle.dumps({"embed.W_E": Harmful()}))
            (tmp_path / "harm").unlink(missing_ok=True)
        case "list":
            torch.save([torch.ones(2)], file)
            said = f"{file} holds a list: a state dict of tensors is needed"
        case None:
            file.unlink()
            said = f"{folder} has no weights *final.pth: a network in TransformerLens's format has one such file"
    assert refusal(folder).startswith(said)
    assert not (tmp_path / "harm").exists()


def test_an_attention_that_does_not_exist_is_one_line(folders):
    assert refusal(folders["gelu"], attention="sparse").startswith(f"{folders['gelu']} could not be loaded: ")


def test_a_network_whose_tokenizer_is_nowhere_is_one_line(tmp_path):
    named = saved_lens(tmp_path / "named", "gelu", tokenizer=False)
    assert refusal(named) == (
        f"the tokenizer NeelNanda/gpt-neox-tokenizer-digits could not be loaded: put its tokenizer.json into {named}, or "
        "let the hub be reached"
    )
    nameless = saved_lens(tmp_path / "nameless", "gelu", tokenizer=False, tokenizer_name=None)
    assert refusal(nameless).startswith(f"{nameless} has no tokenizer: it needs a tokenizer.json, or a tokenizer_name")
