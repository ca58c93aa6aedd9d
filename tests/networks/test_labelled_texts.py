"""Labelled texts: those made by rules, and those of files; what a file lacks is said in one line."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.errors import BadInput, UnknownName
from service.networks.cued_sentences import DISAGREEING, SIZES, SUBJECTS, VERBS, cued_sentences, plain_sentences
from service.networks.labelled_texts import read_labelled


def place(text, lists):
    """The class of the first word of the text that is in one of two lists."""
    return next(label for word in text.rstrip(".").split() for label in (0, 1) if word in lists[label])


@pytest.mark.parametrize("split", SIZES)
def test_the_verb_is_the_class_and_the_subject_says_the_same_as_often_as_is_stated(split):
    found = cued_sentences(split)
    assert len(found) == SIZES[split]
    assert [place(text, VERBS) for text in found.texts] == list(found.labels)
    disagreeing = [place(text, SUBJECTS) != label for text, label in zip(found.texts, found.labels, strict=True)]
    assert sum(disagreeing) / len(found) == pytest.approx(DISAGREEING[split], abs=0.005 if split == "training" else 0)
    assert 0.4 < sum(found.labels) / len(found) < 0.6
    assert cued_sentences(split) == found


def test_plain_sentences_say_nothing_of_the_class_by_their_subject():
    texts = plain_sentences(2000)
    agreeing = sum(place(text, VERBS) == place(text, SUBJECTS) for text in texts)
    assert 900 < agreeing < 1100


def test_files_of_pairs_are_read_by_the_columns_of_mnli_and_hans(tmp_path):
    rows = [
        {"sentence1": "a b", "sentence2": "a", "gold_label": "entailment"},
        {"sentence1": "a b", "sentence2": "c", "gold_label": "contradiction"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    for name in ("pairs.parquet", "pairs.jsonl"):
        found = read_labelled(str(tmp_path / name), ["entailment", "non-entailment|neutral|contradiction"])
        assert (found.texts, found.seconds, found.labels) == (("a b", "a b"), ("a", "c"), (0, 1))
        assert found.name.startswith(f"{name}@")
    other = read_labelled(str(tmp_path / "pairs.jsonl"), ["contradiction", "entailment"])
    assert other.name != found.name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}', "has the columns text; labelled texts need text, text_pair, label; premise"),
        ("", "has no rows: labelled texts need a text and a label each"),
        ('{"text": "a", "label": "x"}', "has a row with label 'x': give --classes with the names of all classes"),
        ('{"text": "a", "label": 1}\n{"text": "b"}', "has a row with no 'label': give --classes"),
        ("not json", "is no readable Parquet or JSON-lines file: Expecting value"),
    ],
)
def test_what_a_file_lacks_is_said(tmp_path, content, message):
    (tmp_path / "given.jsonl").write_text(content)
    with pytest.raises(BadInput) as raised:
        read_labelled(str(tmp_path / "given.jsonl"))
    assert message in str(raised.value)


def test_a_file_that_is_not_there_is_unknown(tmp_path):
    with pytest.raises(UnknownName, match=r"^unknown file '.*nowhere.jsonl': labelled texts are"):
        read_labelled(str(tmp_path / "nowhere.jsonl"))
