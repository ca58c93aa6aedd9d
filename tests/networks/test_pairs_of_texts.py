"""Pairs of texts, such as a premise and a hypothesis: read as the network's own tokenizer pairs them, with token types."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny_networks import saved
from tokenizers import processors
from transformers import AutoModel, AutoTokenizer

from service.errors import BadInput
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import Choice, open_dataset
from service.networks.hidden_states import extract
from service.networks.token_windows import tokenised

PAIRS = [
    ("The lawyer saw the actor.", "The actor saw the lawyer."),
    ("The doctors that the banker met slept.", "They slept."),
    ("No.", "The presidents near the tourists believed that the author danced in the park."),
]


def paired_folder(name, folder):
    """A random network whose tokenizer knows of pairs, as published ones do."""
    saved(name, folder)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = AutoTokenizer.from_pretrained(folder, model_input_names=names)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A random BERT, with two token types."""
    return paired_folder("bert", tmp_path_factory.mktemp("pairs") / "bert")


@pytest.fixture(params=["jsonl", "parquet"])
def file(request, tmp_path):
    rows = [{"premise": first, "hypothesis": second, "label": 0} for first, second in PAIRS]
    if request.param == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    else:
        (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return f"{tmp_path}/pairs.{request.param}:premise+hypothesis"


def of_transformers(folder, pair):
    """The states of every layer, (layers, tokens, width), by the tokenizer's and the network's own call."""
    with torch.no_grad():
        given = AutoTokenizer.from_pretrained(folder)(*pair, return_tensors="pt")
        assert set(given["token_type_ids"][0].tolist()) == {0, 1}
        return torch.cat(AutoModel.from_pretrained(folder)(**given, output_hidden_states=True).hidden_states)


def test_states_of_pairs_are_those_of_the_networks_own_pair_call(bert, file):
    items = open_dataset(file, choice=Choice(texts=3))
    assert items.dataset.name.endswith(":premise+hypothesis[texts=3]")
    (source,) = find_checkpoints(str(bert))
    summaries = extract(load(source, device="cpu"), items, 4096, batch_size=3)
    for item, pair in enumerate(PAIRS):
        expected = of_transformers(bert, pair)
        for summary, states in zip(summaries, expected, strict=True):
            rows = (summary.sample.item_id == item).nonzero()[:, 0]
            rows = rows[summary.sample.position[rows].argsort()]
            np.testing.assert_allclose(summary.states[rows], states, atol=1e-5)


def test_tokens_of_a_pair_end_where_they_do_in_both_texts_one_after_the_other(bert):
    tokenizer = AutoTokenizer.from_pretrained(bert)
    for first, second in PAIRS:
        text = f"{first} {second}"
        window = tokenised(tokenizer, 0, text, None, len(first) + 1)
        ends = window.char_end
        left, right = (tokenizer(part, return_offsets_mapping=True)["offset_mapping"][1:-1] for part in (first, second))
        start = len(first) + 1
        expected = [0, *(end for _, end in left), start, *(start + end for _, end in right), len(text)]
        assert ends.tolist() == expected
        assert np.flatnonzero(window.special).tolist() == [0, len(left) + 1, len(ends) - 1]
        assert window.token_types.sum() == len(right) + 1


def test_a_network_without_token_types_is_told_of_none(tmp_path, file):
    folder = paired_folder("distilbert", tmp_path / "distilbert")
    network = load(find_checkpoints(str(folder))[0], device="cpu")
    windows = open_dataset(file, choice=Choice(texts=3)).windows(network.tokenizer)
    assert [window.token_types for window in windows] == [None] * 3


def test_what_is_no_file_of_pairs_is_said(tmp_path, file):
    place, _, _ = file.rpartition(":")
    with pytest.raises(BadInput, match="'conclusion'"):
        open_dataset(f"{place}:premise+conclusion")
    with pytest.raises(BadInput, match="is of pairs of texts, which are read whole: leave --window out"):
        open_dataset(file, window=256)
    (tmp_path / "plain.txt").write_text("a text")
    with pytest.raises(
        BadInput, match="has not in every row a premise and a hypothesis: pairs of texts need a file with both"
    ):
        open_dataset(f"{tmp_path}/plain.txt:premise+hypothesis")
