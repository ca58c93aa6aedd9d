"""Where texts come from, and what is said of a source that has none."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.errors import BadInput, UnknownName
from service.networks.text_sources import find_documents, library_docstrings, python_reference


def refusal(name) -> str:
    """Why there is no dataset of that name: one line."""
    with pytest.raises(BadInput) as error:
        find_documents(str(name))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_python_reference_is_all_topics_in_order():
    from pydoc_data.topics import topics

    texts = python_reference().texts
    assert len(texts) == len(topics)
    assert texts[0] == topics[min(topics)]
    assert sum(map(len, texts)) > 400_000


def test_library_docstrings_are_docstrings_of_the_four_libraries():
    documents = library_docstrings()
    whole = "\n".join(documents.texts)
    assert documents.texts == library_docstrings().texts
    assert 5e6 < len(whole) < 3e7
    for known in ("Compute the arithmetic mean along the specified axis", "Applies an affine linear transformation"):
        assert known in whole
    assert "numpy 2" in documents.revision
    assert "torch 2" in documents.revision
    assert min(map(len, documents.texts)) >= 200


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("python-referense", "python-reference"),
        ("library-docstring", "library-docstrings"),
        ("random", "random-tokens"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(given, nearest):
    with pytest.raises(UnknownName, match=rf"^unknown dataset '{given}': did you mean '{nearest}'\? known: "):
        find_documents(given)


def test_a_folder_is_its_text_files_in_order(tmp_path):
    for name, text in (("b.txt", "second"), ("a.md", "first"), ("c.png", "no text"), ("d/e.rst", "third")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    documents = find_documents(str(tmp_path))
    assert documents.texts == ("first", "second", "third")
    assert documents.name == tmp_path.name


def test_lines_of_json_give_their_column(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"t{n}", "other": f"o{n}"}) for n in range(3)) + "\n\n")
    assert find_documents(str(path)).texts == ("t0", "t1", "t2")
    assert find_documents(f"{path}:other").texts == ("o0", "o1", "o2")
    assert (find_documents(str(path)).name, find_documents(f"{path}:other").name) == ("rows.jsonl", "rows.jsonl:other")
    assert refusal(f"{path}:missing") == f"{path} line 1 has no field 'missing': give rows.jsonl:FIELD"


def test_parquet_gives_its_column(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["a", None, "b"], "other": ["c", "d", "e"]}), path)
    assert find_documents(str(path)).texts == ("a", "b")
    assert find_documents(f"{path}:other").texts == ("c", "d", "e")
    assert refusal(f"{path}:missing") == f"{path} has no column 'missing', it has text, other: give rows.parquet:COLUMN"
    path.write_bytes(b"not parquet at all")
    assert refusal(path).startswith(f"{path} is no readable Parquet file: ")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "has no text in it: give a file with text"),
        (b"  \n \n", "has no text in it: give a file with text"),
        (b"GIF89a\x00\x01\x02", "is a binary file: a dataset needs text in UTF-8"),
        (b"caf\xe9 au lait", "is not text in UTF-8 (byte 3): convert it first"),
    ],
)
def test_a_file_without_text_is_refused(tmp_path, body, said):
    (tmp_path / "given.txt").write_bytes(body)
    assert refusal(tmp_path / "given.txt") == f"{tmp_path / 'given.txt'} {said}"


def test_a_folder_without_text_files_is_refused(tmp_path):
    assert (
        refusal(tmp_path)
        == f"folder {tmp_path} has no text files: it needs files that end in .txt, .md, .rst, or images"
    )


@pytest.mark.parametrize(("name", "said"), [("hf:wikitext", "a hub dataset is hf:NAME:CONFIG:SPLIT")])
def test_a_hub_name_that_says_too_little_is_refused(name, said):
    assert said in refusal(name)


def test_a_hub_dataset_that_cannot_be_reached_is_one_line():
    pytest.importorskip("datasets")
    said = refusal("hf:lab/nothing:default:test")
    assert said.startswith("dataset 'hf:lab/nothing:default:test' could not be loaded from the hub or its cache: ")
