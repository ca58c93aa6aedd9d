"""Edits that cannot be made are refused by the command in one line, before anything is recorded."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from transformers import AutoTokenizer

ZEROS = """
name = "zeros"
dataset = "digits:test"
[images]
class = 0
exemplars = 4
"""
ELEVENS = """
name = "elevens"
dataset = "DATASET"
[images]
class = 11
exemplars = 2
"""
SIGNS = """
name = "a list is a sign"
dataset = "python-reference"
contexts = 0
held_out = 2
unrelated = 2
[[prompts]]
prompt = "The value of a list is "
target = "\u8a9e"
"""


@pytest.fixture
def refused(isoscope, tmp_path):
    """The one line by which an edit of a network for a task is refused; nothing is recorded."""

    def ask(network, task, *arguments):
        (tmp_path / "task.toml").write_text(task, encoding="utf-8")
        given = ("edit", str(network), "--task", str(tmp_path / "task.toml"), *arguments, "--count", "10")
        done = isoscope(*given, store=tmp_path / "store")
        assert done.returncode == 1, done.stdout + done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "unforeseen" not in done.stderr
        assert not list((tmp_path / "store").rglob("*.parquet"))
        return done.stderr.strip()

    return ask


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (("--method", "low-rank", "--rank", "400"), "has rank 1 to 32; got 400"),
        (("--method", "one-layer", "--layer", "vit.layernorm"), "vit.layernorm"),
        (("--method", "one-layer", "--layer", "vit.layer"), "unknown"),
        (("--method", "lowrank"), "unknown method of editing 'lowrank': did you mean 'low-rank'"),
        (("--method", "1-li", "--alpha", "1.5"), "--alpha is a share from 0 to 1; got 1.5"),
        (("--method", "rome"), "decoder"),
        (("--method", "one-layer", "--corruption", "fog"), "unknown corruption"),
        (("--method", "one-layer", "--severity", "7"), "--severity is 1 to 5; got 7"),
        (("--method", "one-layer", "--rate", "nan"), "--rate is a number above 0 and at most 1e+30; got nan"),
    ],
)
def test_what_cannot_be_edited_is_refused_in_one_line(refused, vision_folder, options, refusal):
    line = refused(vision_folder, ZEROS, *options)
    assert refusal in line


def test_a_token_that_the_decoder_does_not_have_is_refused(refused, decoder_folder, tmp_path):
    folder = shutil.copytree(decoder_folder / "step64", tmp_path / "signs")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["\u8a9e"])  # and no row of the embedding is its
    tokenizer.save_pretrained(folder)
    line = refused(folder, SIGNS, "--method", "one-layer")
    assert "has no token for '\u8a9e'" in line


def test_a_class_that_the_network_does_not_tell_is_refused(refused, vision_folder, tmp_path):
    body = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(body, "PNG")
    rows = [{"image": {"bytes": body.getvalue() + bytes([place])}, "label": (11, 2)[place % 2]} for place in range(12)]
    pd.DataFrame(rows).to_parquet(tmp_path / "elevens.parquet")
    line = refused(
        vision_folder, ELEVENS.replace("DATASET", str(tmp_path / "elevens.parquet")), "--method", "one-layer"
    )
    assert "tells 10 classes, and the task asks for class '11' of" in line
