"""Concepts: what each form calls positive, and what is said of one that cannot be asked."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from service.errors import BadInput
from service.networks.concepts import find_concept, find_concepts
from service.networks.datasets import open_dataset
from service.subjects import Dataset

ROWS = [
    {"text": f"row {number} of the file", "label": number, "even": number % 2 == 0, "odd": number % 2}
    for number in range(8)
]


class Digits:
    """A data set as one of images is: ids and columns, no text."""

    dataset = Dataset("digits", "here", "d" * 16, 6, 0, modality="image")
    item_ids = range(6)

    def column(self, name):
        return {"label": dict(enumerate([0, 1, 2, None, 6, 6.0]))}[name]


@pytest.fixture
def parquet(tmp_path):
    pq.write_table(pa.Table.from_pylist([*ROWS, {"text": None, "label": 99}]), tmp_path / "rows.parquet")
    return open_dataset(str(tmp_path / "rows.parquet"))


@pytest.fixture
def lines(tmp_path):
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return open_dataset(str(tmp_path / "rows.jsonl"), window=10)


def positive_items(found, items):
    """The items that a concept of whole items is true of."""
    ids = torch.tensor(list(items.item_ids))
    return sorted(ids[found.labels.of(ids, torch.ones_like(ids))].tolist())


@pytest.mark.parametrize("kind", ["parquet", "lines"])
@pytest.mark.parametrize(("asked", "wanted"), [
    ("column:even", {0, 2, 4, 6}), ("odds=column:odd", {1, 3, 5, 7}), ("classes:6,7", {6, 7}), ("x=classes:label:0", {0}),
    ("contains:[35] of", {3, 5}),
])  # fmt: skip
def test_a_concept_of_items_is_true_of_the_windows_of_its_rows(kind, asked, wanted, request):
    items = request.getfixturevalue(kind)
    asked = "contains:row [35]" if kind == "lines" and asked.startswith("contains") else asked
    found = find_concept(asked, items)
    windows = positive_items(found, items)
    documents = items.documents()
    assert {documents[item] for item in windows} == wanted
    assert len(windows) == (len(wanted) * 2 if kind == "lines" and "contains" not in asked else len(wanted))
    assert found.concept.positives == len(windows)
    assert found.concept.name == (asked.split("=")[0] if "=" in asked else asked)


def test_items_without_a_value_have_no_label_and_classes_are_read_as_people_write_them():
    found = find_concept("loop=classes:0,6", Digits())
    ids = torch.arange(6)
    assert found.labels.known(ids).tolist() == [True, True, True, False, True, True]
    assert found.labels.of(ids, ids).tolist() == [True, False, False, False, True, True]
    assert (found.concept.items, found.concept.positives, found.labels.negatives) == (5, 3, 2)


@pytest.mark.parametrize("body", ['{"0": true, "1": 0, "5": 1}', "[0, 5]", "[true, false, false, false, false, true]"])
def test_a_json_file_labels_items_in_each_of_its_forms(body, tmp_path):
    (tmp_path / "marks.json").write_text(body)
    found = find_concept(f"marked=json:{tmp_path / 'marks.json'}", Digits())
    assert positive_items(found, Digits()) == [0, 5]
    assert found.concept.definition == "json:marks.json"
    assert found.concept.items == (3 if body.startswith("{") else 6)


@pytest.mark.parametrize("listed", ["ids", "booleans", "object"])
def test_a_json_file_of_a_whole_source_labels_the_items_of_each_split(listed, tmp_path):
    whole = open_dataset("digits").column("label")
    even = {item: label % 2 == 0 for item, label in whole.items()}
    bodies = {
        "ids": [item for item in even if even[item]],
        "booleans": [even[item] for item in sorted(even)],
        "object": even,
    }
    (tmp_path / "even.json").write_text(json.dumps(bodies[listed]))
    for split in ("digits:train", "digits:test"):
        items = open_dataset(split)
        found = find_concept(f"even=json:{tmp_path / 'even.json'}", items)
        assert found.labels.values == {item: even[item] for item in items.item_ids}


def test_an_item_that_no_split_has_is_refused(tmp_path):
    (tmp_path / "marks.json").write_text("[0, 1797]")
    with pytest.raises(
        BadInput, match="has a label for item 1797, which digits:test does not have: its items are 0 to 1796"
    ):
        find_concept(f"json:{tmp_path / 'marks.json'}", open_dataset("digits:test"))


def test_a_token_is_positive_where_the_string_ends_and_a_regex_where_it_covers_the_last_character(tmp_path):
    (tmp_path / "one.txt").write_text("the lathe, the 12 rows 345")
    items = open_dataset(str(tmp_path / "one.txt"))
    ends = torch.arange(0, 27)
    item = torch.zeros_like(ends)

    def where(asked):
        return ends[find_concept(asked, items).labels.of(item, ends)].tolist()

    assert where("token:the") == [3, 9, 14]
    assert where("token: the") == [14]
    assert where("regex:[0-9]+") == [16, 17, 24, 25, 26]
    assert where("a=regex:(?<= )l|e(?=,)") == [5, 9]


def test_the_id_follows_the_labels_the_name_and_the_text(tmp_path, lines, parquet):
    concept = find_concept("column:even", parquet).concept
    assert concept == find_concept("column:even", parquet).concept
    others = [
        find_concept("e=column:even", parquet).concept,
        find_concept("column:even", lines).concept,
        find_concept("column:odd", parquet).concept,
        replace(concept, labels_digest="another"),
    ]
    assert len({concept.concept_id, *(one.concept_id for one in others)}) == 5
    (tmp_path / "marks.json").write_text("[0]")
    first = find_concept(f"m=json:{tmp_path / 'marks.json'}", parquet).concept.concept_id
    (tmp_path / "marks.json").write_text("[1]")
    assert find_concept(f"m=json:{tmp_path / 'marks.json'}", parquet).concept.concept_id != first


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("colum:even", "unknown form of a concept 'colum': did you mean 'column:'? known: classes:, column:"),
        ("even", "unknown form of a concept 'even'"),
        ("x=column:", "concept 'x=column:' says nothing after column: it needs one more word, such as column:even"),
        ("column:evn", "unknown column of rows.parquet 'evn': did you mean 'even'? known: even, label, odd, text"),
        ("classes:3,11", "unknown class of column 'label' of rows.parquet '11': did you mean '1'? known: 0, 1, 2, 3"),
        (
            "column:label",
            "column 'label' holds 2, which is neither true nor false, 0 nor 1: classes:label:VALUES makes",
        ),
        ("regex:[0-9", "the regular expression '[0-9' cannot be read: unterminated character set at position 0"),
        ("a=contains:row", "concept 'a' has one class only: all 8 items of rows.parquet are positive"),
        ("token: cow", "concept 'token: cow' has one class only: all 8 items of rows.parquet are negative"),
        ("regex:(?s).+", "concept 'regex:(?s).+' has one class only: all 8 items of rows.parquet are positive"),
        ("json:/nowhere.json", "unknown file of labels '/nowhere.json': there is no such file"),
    ],
)
def test_a_concept_that_cannot_be_asked_is_one_line(parquet, asked, said):
    with pytest.raises(BadInput) as error:
        find_concept(asked, parquet)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "is no JSON file that can be read: Expecting property name"),
        ('{"8": true}', "has a label for item 8, which rows.parquet does not have: its items are 0 to 7"),
        ('["x"]', "holds no labels: give an object of true and false by item id, or a list of positive item ids"),
        ("[true, false]", "has 2 labels, and rows.parquet has 8 items"),
        ('{"1": "yes"}', "holds no labels"),
        ("[-1]", "has a label for item -1"),
    ],
)
def test_a_file_of_labels_that_does_not_fit_is_one_line(parquet, tmp_path, body, said):
    (tmp_path / "marks.json").write_text(body)
    with pytest.raises(BadInput) as error:
        find_concept(f"json:{tmp_path / 'marks.json'}", parquet)
    assert str(error.value).startswith(f"{tmp_path / 'marks.json'} {said}")
    assert "\n" not in str(error.value)


def test_sources_without_columns_or_texts_say_so():
    for name in ("python-reference", "random-tokens"):
        with pytest.raises(
            BadInput, match=f"^{name} has no columns: a Parquet or JSON-lines file or a hub dataset has"
        ):
            find_concept("column:even", open_dataset(name))
    with pytest.raises(BadInput, match=r"^regex: is a concept of texts, and digits has none$"):
        find_concept("regex:a", Digits())


def test_too_few_for_the_folds_two_of_one_name_and_none_at_all_are_one_line(parquet):
    few = find_concept("x=classes:1,2", parquet)
    few.refuse_fewer_than(2)
    with pytest.raises(
        BadInput, match=r"^concept 'x' has 2 positive of 8 items of rows.parquet; 5 folds need 5: give a"
    ):
        few.refuse_fewer_than(5)
    with pytest.raises(BadInput, match="'y' has 1 negative of 8 items"):
        find_concept("y=classes:0,1,2,3,4,5,6", parquet).refuse_fewer_than(2)
    with pytest.raises(BadInput, match="two concepts are called 'x'"):
        find_concepts(["x=classes:1", "x=classes:2"], parquet)
    with pytest.raises(BadInput, match="a probe needs a concept: give --concept NAME=FORM"):
        find_concepts([], parquet)
