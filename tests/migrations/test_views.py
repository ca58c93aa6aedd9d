"""The public views are a contract: names, columns, order and types stand in views.txt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.storage import views
from service.storage.database import open_store, publish, reading

GOLDEN = Path(__file__).with_name("views.txt")
COLUMNS = """
select table_name || '.' || column_name || ' ' || data_type
from duckdb_columns() where schema_name = 'lab' order by table_name, column_index
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("views") / "store", 5)
    publish(store)
    with reading(store) as connection:
        yield connection


def test_the_views_are_those_of_the_golden_list(published):
    found = [line for (line,) in published.execute(COLUMNS).fetchall()]
    assert found == GOLDEN.read_text().splitlines(), "the public contract changed: is that meant? then change views.txt"


def test_every_view_and_every_column_says_what_it_is(published):
    uncommented = (
        "select view_name from duckdb_views() where schema_name = 'lab' and coalesce(comment, '') = '' union all "
        "select table_name || '.' || column_name from duckdb_columns() where schema_name = 'lab' "
        "and coalesce(comment, '') = ''"
    )
    assert published.execute(uncommented).fetchall() == []


def test_no_view_names_a_table_without_its_schema_or_takes_every_column():
    for path in views.view_files():
        statement = re.sub(r"'[^']*'", "''", path.read_text())
        own = set(re.findall(r"(?:\bwith|,)\s+(\w+) as \(\n", statement))
        asked = set(re.findall(r"(?<!distinct )\b(?:from|join)\s+(?!main\.|lab\.|\()(\w+)", statement))
        assert asked <= own, path
        assert not re.search(r"select\s+\*|\.\*", statement), path
        assert statement.startswith(f"create view lab.{path.stem} as"), path


def test_every_view_answers_in_an_empty_store(published):
    for path in views.view_files():
        if path.stem != "t_quantiles":  # constants
            assert published.execute(f"select * from lab.{path.stem}").fetchall() == []
