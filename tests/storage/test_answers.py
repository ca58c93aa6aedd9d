"""Questions in SQL, and their answers for people and machines."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
from store_builders import a_checkpoint, an_entry

from service.errors import BadInput
from service.storage.answers import as_csv, as_json, as_parquet, as_rows, ask, write_file
from service.storage.database import publish
from service.storage.rows import record


@pytest.fixture
def asked(store):
    record(store, an_entry(store, layers=1))
    record(store, an_entry(store, checkpoint=a_checkpoint(None, revision="x"), layers=1))
    publish(store)
    return lambda query, *parameters: ask(store, query, list(parameters) or None)


def test_an_answer_can_be_had_as_rows_csv_json_and_parquet(asked):
    table = asked(
        "select step, measure, value, note from lab.layer_metrics "
        "where measure = 'twonn' and detail is null order by all"
    )
    assert as_rows(table) == (
        ["step", "measure", "value", "note"],
        [
            (0, "twonn", 5.0, None),
            (0, "twonn", None, "only 2 points differ"),
            (None, "twonn", 5.0, None),
            (None, "twonn", None, "only 2 points differ"),
        ],
    )
    assert as_csv(table).decode().splitlines()[:3] == [
        "step,measure,value,note",
        "0,twonn,5.0,",
        "0,twonn,,only 2 points differ",
    ]
    assert json.loads(as_json(table))[2] == {"step": None, "measure": "twonn", "value": 5.0, "note": None}
    assert pq.read_table(io.BytesIO(as_parquet(table))).equals(table)


def test_times_sums_lists_and_what_is_not_finite_have_a_form_in_json(asked):
    table = asked(
        "select sum(n_used) as n, max(measured_at) as t, list(layer) as l, 'nan'::double as x, {'a': 1} as s "
        "from lab.layer_metrics"
    )
    assert json.loads(as_json(table)) == [
        {"n": 3894, "t": "2026-01-01T12:00:30", "l": [0] * 14, "x": None, "s": {"a": 1}}
    ]
    assert as_rows(asked("select 1.5::decimal(5, 2) as d, sum(n_used) as n from lab.layer_metrics"))[1] == [(1.5, 3894)]


def test_no_rows_still_have_their_columns(asked):
    table = asked("select model, step from lab.checkpoints where false")
    assert (as_rows(table), as_csv(table), json.loads(as_json(table))) == ((["model", "step"], []), b"model,step\n", [])


def test_question_marks_are_filled_and_a_pivot_is_a_query(asked):
    assert as_rows(asked("select count(*) from lab.checkpoints where revision = ?", "x"))[1] == [(1,)]
    columns, rows = as_rows(asked("pivot lab.layer_metrics on measure using max(value) group by layer"))
    assert columns == ["layer", "anisotropy", "gride", "twonn"]
    assert rows == [(0, 0.75, 4.5, 10.0)]


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("selec 1", 'syntax error at or near "selec"'),
        ("select nope from lab.models", 'Referenced column "nope" not found in FROM clause!'),
        ("select * from lab.nope", "Table with name nope does not exist!"),
        ("select * from read_csv('/etc/passwd')", "file system operations are disabled"),
        ("drop view lab.models", "read-only"),
        ("select 'a'::integer", "Could not convert string 'a' to INT32"),
        ("", "the query is empty: give one such as 'select * from lab.models'"),
        ("-- nothing", "the query is empty"),
    ],
)
def test_a_bad_query_is_one_line(asked, query, complaint):
    with pytest.raises(BadInput) as caught:
        asked(query)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_answer_goes_into_a_file_whole_or_not_at_all(tmp_path):
    write_file(tmp_path / "answer.csv", b"a\n1\n")
    assert [path.name for path in tmp_path.iterdir()] == ["answer.csv"]
    assert (tmp_path / "answer.csv").read_bytes() == b"a\n1\n"
    with pytest.raises(
        BadInput, match=r"^.*/nowhere/answer.csv cannot be written: No such file or directory; name another"
    ):
        write_file(tmp_path / "nowhere" / "answer.csv", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput, match="cannot be written: Is a directory"):
        write_file(tmp_path / "folder", b"")
    assert not list(tmp_path.glob(".*"))
