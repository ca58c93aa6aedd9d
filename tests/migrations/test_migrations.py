"""The migrations lead up, down and up again, and agree with the tables that the code declares."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.storage import migrating, views
from service.storage.database import Store, altering, looking, open_store
from service.storage.schema import metadata

ROOT = Path(__file__).parents[2]


def alembic(store_root, *arguments):
    """The command line's standard output. Fails with its standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT,
        env={**os.environ, "ISOSCOPE_STORE": str(store_root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def names(connection, schema):
    query = "select table_name from information_schema.tables where table_schema = :schema order by 1"
    return connection.execute(text(query), {"schema": schema}).scalars().all()


def test_the_command_line_upgrades_and_finds_no_difference_to_the_declared_tables(tmp_path):
    alembic(tmp_path / "store", "upgrade", "head")
    assert "No new upgrade operations detected" in alembic(tmp_path / "store", "check")
    assert open_store(tmp_path / "store", 5).database.exists()


def test_the_check_finds_a_table_that_no_migration_makes(tmp_path):
    store = open_store(tmp_path / "store", 5)
    with altering(store) as connection:
        command.check(migrating.configuration(connection, io.StringIO()))
    with altering(store) as connection:
        connection.execute(text("alter table runs drop column device"))
    with pytest.raises(CommandError, match="device"), altering(store) as connection:
        command.check(migrating.configuration(connection, io.StringIO()))


def test_down_leaves_nothing_behind_and_up_again_gives_the_same(tmp_path):
    store = open_store(tmp_path / "store", 5)
    with altering(store) as connection:
        before = names(connection, "main"), names(connection, "lab")
        command.downgrade(migrating.configuration(connection), "base")
        assert names(connection, "main") == ["alembic_version"]
        assert names(connection, "lab") == []
        command.upgrade(migrating.configuration(connection), "head")
        assert (names(connection, "main"), names(connection, "lab")) == before
    assert set(before[0]) == {"alembic_version", *metadata.tables}
    assert before[1] == sorted(path.stem for path in views.view_files())
    with looking(store) as connection:
        assert migrating.is_current(connection)


def test_the_second_version_keeps_the_runs_of_the_first_and_going_back_takes_only_what_the_first_cannot_hold(tmp_path):
    store = Store(tmp_path / "store")
    with altering(store) as connection:
        command.upgrade(migrating.configuration(connection), "0001")
        connection.execute(text(A_RUN.format(run="old", checkpoint="'c'", more="")))
        command.upgrade(migrating.configuration(connection), "0002")
        connection.execute(text(A_RUN.format(run="new", checkpoint="null", more=", 'mine' as model")))
        connection.execute(
            text("insert into training_losses (model, step, run_id, source) values ('mine', 1, 'new', 'x')")
        )
        assert runs(connection) == [("new", None), ("old", "c")]
        command.downgrade(migrating.configuration(connection), "0001")
        assert runs(connection) == [("old", "c")]
        with pytest.raises(DBAPIError, match="NOT NULL"):
            connection.execute(text(A_RUN.format(run="new", checkpoint="null", more="")))


def test_pairs_from_before_there_was_a_choice_are_set_against_single_points(tmp_path):
    store = Store(tmp_path / "store")
    with altering(store) as connection:
        command.upgrade(migrating.configuration(connection), "0010")
        connection.execute(text(A_PAIR.format(run="old", more="")))
        command.upgrade(migrating.configuration(connection), "0011")
        connection.execute(text(A_PAIR.format(run="new", more=", 'items' as permuted")))
        query = text("select run_id, permuted from pair_metrics order by 1")
        assert [tuple(row) for row in connection.execute(query)] == [("new", "items"), ("old", None)]
        command.downgrade(migrating.configuration(connection), "0010")
        assert connection.execute(text("select count(*) from pair_metrics")).scalar() == 2


A_PAIR = """insert into pair_metrics by name select 'a' as site_a, 'b' as site_b, 'linear_cka' as measure, 1 as version,
'all' as variant, '{run}' as run_id, 0.5 as value, 9 as permutations, 99 as pairs{more}"""


def test_edits_of_before_have_no_origin_and_going_back_keeps_them(tmp_path):
    store = Store(tmp_path / "store")
    with altering(store) as connection:
        command.upgrade(migrating.configuration(connection), "0010")
        connection.execute(text(AN_EDIT))
        command.upgrade(migrating.configuration(connection), "0016")
        assert connection.execute(text("select edit_id, origin from edits")).all() == [("e", None)]
        command.downgrade(migrating.configuration(connection), "0010")
        assert connection.execute(text("select edit_id from edits")).all() == [("e",)]
        with pytest.raises(DBAPIError, match="origin"):
            connection.execute(text("select origin from edits"))


AN_EDIT = """insert into edits by name select 'e' as edit_id, 'c' as checkpoint_id, 't' as task_id, 't' as task,
'image' as modality, 'd' as dataset, 'low-rank' as method, 1 as steps, 0.1 as learning_rate, 0 as seed, 1 as exemplars,
1 as changed, true as converged, 'r' as run_id"""
A_STITCH = """insert into stitches by name select 'a' as checkpoint_a, 'b' as checkpoint_b, 1 as layer_a, 2 as layer_b,
'd' as dataset, '{map}' as map, 0 as steps, 'r' as run_id, 0.5 as accuracy, 0.5 as accuracy_of_b, 9 as tokens, 1 as windows"""


def test_a_store_with_stitches_keeps_them_and_going_back_takes_only_maps_that_were_not_known(tmp_path):
    store = Store(tmp_path / "store")
    with altering(store) as connection:
        command.upgrade(migrating.configuration(connection), "0014")
        for name in ("identity", "procrustes"):
            connection.execute(text(A_STITCH.format(map=name)))
        command.downgrade(migrating.configuration(connection), "0010")
        assert connection.execute(text("select map from stitches")).scalars().all() == ["identity"]
        command.upgrade(migrating.configuration(connection), "0014")
        assert connection.execute(text("select map, windows from stitches")).all() == [("identity", 1)]
        with pytest.raises(DBAPIError, match="CHECK"):
            connection.execute(text(A_STITCH.format(map="rotation")))


def test_traces_from_before_mlps_were_restored_are_of_states_and_going_back_keeps_those_alone(tmp_path):
    store = Store(tmp_path / "store")
    with altering(store) as connection:
        command.upgrade(migrating.configuration(connection), "0010")
        old = "('c', 't', 'facts', 1, 'last', 0.5, 0.1, 3, 'old'"
        connection.execute(text(f"insert into causal_traces values {old})"))
        command.upgrade(migrating.configuration(connection), "0013")
        new = "('c', 't', 'facts', 1, 'last', 0.5, 0.1, 3, 'new', 'mlp', 1, ' Rome', 0.9, null)"
        connection.execute(text(f"insert into causal_traces values {new}"))
        connection.execute(text("update edits set variant = 'released'"))
        asked = "select run_id, restored from causal_traces order by run_id desc"
        assert [tuple(row) for row in connection.execute(text(asked))] == [("old", None), ("new", "mlp")]
        command.downgrade(migrating.configuration(connection), "0010")
        assert connection.execute(text("select run_id from causal_traces")).scalars().all() == ["old"]


A_RUN = """insert into runs by name select '{run}' as run_id, {checkpoint} as checkpoint_id, 'd' as dataset, 'x' as experiment,
'{{}}' as parameters, '1' as code_version, 0 as seed, 'cpu' as device, now()::timestamp as started_at,
now()::timestamp as finished_at{more}"""


def runs(connection):
    return [tuple(row) for row in connection.execute(text("select run_id, checkpoint_id from runs order by 1"))]


def test_the_version_of_concepts_keeps_the_comparisons_that_were_and_takes_back_those_of_new_kinds(tmp_path):
    store = Store(tmp_path / "store")
    with altering(store) as connection:
        command.upgrade(migrating.configuration(connection), "0015")
        for between in ("members", "steps"):
            connection.execute(text(AN_AGREEMENT.format(between=between)))
        command.downgrade(migrating.configuration(connection), "-1")
        assert connection.execute(text("select between, cosine from concept_agreements")).all() == [("members", 0.5)]
        command.upgrade(migrating.configuration(connection), "0015")
        kept = connection.execute(text("select between, cosine, other_concept_id from concept_agreements")).all()
        assert kept == [("members", 0.5, None)]
        command.downgrade(migrating.configuration(connection), "-1")
        with pytest.raises(DBAPIError, match="CHECK"):
            connection.execute(text(AN_AGREEMENT.format(between="steps")))


AN_AGREEMENT = """insert into concept_agreements by name select 'c' as concept_id, '{between}' as between, 'a' as checkpoint_a,
'b' as checkpoint_b, 1 as layer, 0 as seed_a, 0 as seed_b, 'all' as positions, 5 as folds, 'r' as run_id, 0.5 as cosine,
9 as places"""


def test_the_twelfth_version_keeps_removals_and_going_back_takes_those_matched_by_class(tmp_path):
    store = Store(tmp_path / "store")
    with altering(store) as connection:
        command.upgrade(migrating.configuration(connection), "0010")
        connection.execute(text(A_REMOVAL.format(removal="top")))
    refuses(store, "class-matched")
    with altering(store) as connection:
        command.upgrade(migrating.configuration(connection), "0012")
        connection.execute(text(A_REMOVAL.format(removal="class-matched")))
        assert removals(connection) == ["class-matched", "top"]
    refuses(store, "some")
    with altering(store) as connection:
        command.downgrade(migrating.configuration(connection), "0010")
        assert removals(connection) == ["top"]


A_REMOVAL = """insert into concept_counterfactuals by name select 'r' as run_id, 'a' as attribution_id, 'e' as ensemble,
'c' as concept_id, 1 as layer, 'trak' as method, 'all' as positions, 5 as folds, 2 as probe_seeds, 'd' as dataset,
'{removal}' as removal, 3 as removed, 7 as train_items, 0 as seed, 'k' as checkpoint_id"""


def refuses(store, removal):
    with pytest.raises(DBAPIError, match="CHECK"), altering(store) as connection:
        connection.execute(text(A_REMOVAL.format(removal=removal)))


def removals(connection):
    return connection.execute(text("select removal from concept_counterfactuals order by 1")).scalars().all()


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(tmp_path):
    store = open_store(tmp_path / "store", 5)
    with altering(store) as connection:
        connection.execute(text("alter table layer_metrics drop column note"))
    with pytest.raises(DBAPIError, match="note"), altering(store) as connection:
        migrating.upgrade(connection)
    with looking(store) as connection:
        assert names(connection, "lab") == sorted(path.stem for path in views.view_files())


def test_an_upgrade_leaves_no_log_to_be_replayed(tmp_path):
    store = Store(tmp_path / "store")
    with altering(store) as connection:
        migrating.upgrade(connection)
    assert [path.name for path in store.root.glob("isoscope.duckdb*")] == ["isoscope.duckdb"]


def test_a_folder_with_a_percent_sign_or_a_quote_is_a_store_too(tmp_path):
    store = open_store(tmp_path / "100 % of 'it' [a]", 5)
    with looking(store) as connection:
        assert migrating.is_current(connection)


def test_versions_import_nothing_of_the_service():
    versions = sorted((ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    assert versions
    for path in versions:
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [module for module in modules if module.split(".")[0] in ("service", "flows", "migrations")], (
                path
            )


def test_every_version_leads_up_and_down():
    for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"):
        functions = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert {"upgrade", "downgrade"} <= functions
