"""What is recorded of a network when it is loaded, and every reason not to load one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_networks import saved, tokenizer_for

from service.errors import BadInput, NetworkMismatch
from service.networks.checkpoints import find_checkpoints, load


def loaded(folder, **options):
    """The network of one checkpoint folder."""
    return load(find_checkpoints(str(folder))[0], device="cpu", **options)


def refusal(folder, **options) -> str:
    """Why the folder is not loaded: one line."""
    with pytest.raises((NetworkMismatch, BadInput)) as error:
        loaded(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_a_network_is_is_recorded(decoder, encoder):
    facts = decoder.facts
    assert (facts.family, facts.kind, facts.layers, facts.width) == ("gpt_neox", "decoder", 3, 32)
    assert (facts.dtype, facts.device, facts.attention) == ("float32", "cpu", "sdpa")
    assert facts.parameters == sum(weights.numel() for weights in decoder.module.parameters())
    assert facts.weights_digest == decoder.checkpoint.revision
    assert (encoder.facts.family, encoder.facts.kind, encoder.facts.normed_entry) == ("modernbert", "encoder", 3)
    assert decoder.predicts
    assert encoder.predicts
    assert not decoder.module.training


def test_attention_and_dtype_are_those_asked_for(decoder_folder):
    facts = loaded(decoder_folder / "step1", attention="eager", dtype="bfloat16").facts
    assert (facts.attention, facts.dtype) == ("eager", "bfloat16")


def test_a_network_saved_in_half_precision_stays_so(decoder_folder, tmp_path):
    module = transformers.AutoModelForCausalLM.from_pretrained(decoder_folder / "step1").to(torch.bfloat16)
    module.save_pretrained(tmp_path / "half")
    tokenizer_for("causal").save_pretrained(tmp_path / "half")
    assert loaded(tmp_path / "half").facts.dtype == "bfloat16"


@pytest.mark.parametrize(("name", "limit"), [("roberta", 254), ("bert", 256), ("gpt2", 256)])
def test_the_longest_input_is_what_the_table_of_positions_holds(name, limit, tmp_path):
    network = loaded(saved(name, tmp_path / name, pad_token_id=1))
    assert network.max_length == limit
    with torch.no_grad():
        network.module(torch.full((1, limit), 7))


def test_loading_says_nothing(decoder_folder):
    code = (
        "import sys; from service.networks.checkpoints import find_checkpoints, load; "
        "load(find_checkpoints(sys.argv[1])[0], device='cpu')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(decoder_folder / "step1")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 8, None])
def test_corrupt_weights_are_refused(decoder_folder, tmp_path, damage):
    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "step16")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000] if damage is None else damage)
    assert refusal(folder).startswith(f"{folder} could not be loaded: ")


def test_weights_that_lack_a_layer_are_refused(decoder_folder, tmp_path):
    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "step16")
    weights = load_file(folder / "model.safetensors")
    lacking = {name: value for name, value in weights.items() if ".layers.1.mlp" not in name}
    save_file(lacking, folder / "model.safetensors", metadata={"format": "pt"})
    assert refusal(folder).startswith(f"{folder} lacks 4 of its network's weights, the first is gpt_neox.layers.1.mlp.")


def test_weights_of_another_size_are_refused(decoder_folder, tmp_path):
    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "step16")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 96}))
    assert str(folder) in refusal(folder)


def test_a_config_that_is_no_config_is_refused(decoder_folder, tmp_path):
    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "step16")
    (folder / "config.json").write_text('{"model_type": "perceptron"}')
    assert "perceptron" in refusal(folder)
    (folder / "config.json").write_text("{")
    assert refusal(folder).startswith(f"{folder} could not be loaded: ")


def test_a_checkpoint_without_a_tokenizer_is_refused(decoder_folder, tmp_path):
    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "step16")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert " has no tokenizer: it needs the files" in refusal(folder)


def test_an_encoder_decoder_is_refused(tmp_path):
    config = transformers.T5Config(vocab_size=300, d_model=32, num_layers=1, num_heads=4, d_kv=8, d_ff=64)
    transformers.T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    tokenizer_for("causal").save_pretrained(tmp_path / "t5")
    assert refusal(tmp_path / "t5").endswith("is an encoder-decoder (t5): decoders and encoders can be measured")


def test_a_network_that_brings_its_own_code_is_refused_unless_it_is_asked_for(decoder_folder, tmp_path):
    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "step16")
    config = json.loads((folder / "config.json").read_text())
    own = {**config, "model_type": "strange", "auto_map": {"AutoConfig": "strange.StrangeConfig"}}
    (folder / "config.json").write_text(json.dumps(own))
    assert refusal(folder).endswith("brings its own code, which is not run unless asked for: --trust-remote-code")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "int3"}, "unknown dtype 'int3': give auto, float32, float16, bfloat16"),
        ({"attention": "sparse"}, "could not be loaded"),
    ],
)
def test_options_that_do_not_exist_are_refused(decoder_folder, options, said):
    assert said in refusal(decoder_folder / "step1", **options)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("tpu9", r"^unknown device 'tpu9': give auto, cpu, cuda or cuda:1$"),
        ("meta", r"^device 'meta' cannot be worked with: give auto, cpu, cuda or cuda:1$"),
        pytest.param(
            "cuda",
            r"^device 'cuda' was asked for, and there is no CUDA device here: give cpu or auto$",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one here"),
        ),
    ],
)
def test_a_device_that_is_not_there_is_refused(decoder_folder, device, said):
    with pytest.raises(BadInput, match=said):
        load(find_checkpoints(str(decoder_folder / "step1"))[0], device=device)
