"""The trade-off of edits and what they break, drawn and on the page, from really recorded rows."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import duckdb
import numpy as np
import pytest
from edit_builders import ASKED_ON, CHECKPOINT, a_record, an_edit, record_together, some_edits
from store_builders import a_checkpoint

from service.errors import BadInput
from service.report.edit_section import BROKEN, TRADE_OFF
from service.report.figures import as_png, figure
from service.report.page import write_report
from service.storage.database import open_store, publish, reading


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = open_store(tmp_path_factory.mktemp("edits") / "store", 20)
    some_edits(made)
    other = a_checkpoint(None, "decoder", "abc")
    bare = an_edit("rome", checkpoint=other, rank=1)
    record_together(made, [a_record(made, bare, other, success=0.9, lost=0.01, minutes=9, moved=())])
    publish(made)
    return made


@pytest.fixture
def connection(store):
    with reading(store) as opened:
        yield opened


def errorbars(axes):
    """(x, y) of each line with bars by its name, those of one name one after another."""
    found = {}
    for one in axes.containers:
        found.setdefault(one.get_label(), []).extend(one.lines[0].get_xydata().tolist())
    return {name: np.array(values) for name, values in found.items()}


def texts_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_a_point_is_the_mean_of_a_method_under_a_constraint_with_its_interval(connection):
    axes = figure("tradeoff", connection, models=["edited"]).axes[0]
    found = errorbars(axes)
    assert sorted(found) == ["1-li", "fine-tuning", "low-rank"]
    np.testing.assert_allclose(found["low-rank"], [[0.45, 0.02], [0.75, 0.06]])  # rank 1, then 4
    np.testing.assert_allclose(found["1-li"], [[0.65, 0.03], [0.55, 0.11]])
    (bars,) = (one for one in axes.containers if one.get_label() == "fine-tuning")
    (low, high), (below, above) = (np.array(one.get_segments())[0] for one in bars.lines[2])
    reach = 4.303 * 0.05 / 3**0.5
    np.testing.assert_allclose([low[0], high[0]], [0.85 - reach, 0.85 + reach], rtol=1e-3)
    np.testing.assert_allclose([below[1], above[1]], [0.21 - reach / 5, 0.21 + reach / 5], rtol=1e-3)
    assert "edited, step 100, on digits:test (2 families, 3 corruptions)" in axes.get_title(loc="left")


def test_the_front_is_a_staircase_through_its_numbered_points(connection):
    axes = figure("tradeoff", connection, models=["edited"]).axes[0]
    (front,) = (line for line in axes.lines if line.get_label() == "front")
    assert front.get_drawstyle() == "steps-pre"
    np.testing.assert_allclose(front.get_xydata(), [[0.45, 0.02], [0.65, 0.03], [0.75, 0.06], [0.85, 0.21]])
    assert texts_of(axes.get_legend()) == [
        "1  low-rank, rank 1",
        "2  1-li, alpha 0.5",
        "3  low-rank, rank 4",
        "4  fine-tuning, all layers",
    ]
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4"]


def test_each_method_under_its_best_constraint_is_drawn_beside_the_untouched_network(connection):
    (part,) = figure("edits", connection, models=["edited"]).subfigs
    accuracy, moved = part.axes
    found = errorbars(accuracy)
    assert sorted(found) == ["1-li, alpha 0.5", "fine-tuning, all layers", "low-rank, rank 4"]
    np.testing.assert_allclose(found["low-rank, rank 4"], [[0, 0.84], [1, 0.74], [3, 0.69]])
    (untouched,) = (line for line in accuracy.lines if line.get_label() == "untouched")
    np.testing.assert_allclose(untouched.get_xydata(), [[0, 0.9], [1, 0.8], [3, 0.75]])
    np.testing.assert_allclose(errorbars(moved)["low-rank, rank 4"], [[0, 0], [1, 0.1], [2, 0.2]])
    assert moved.get_ylabel() == "angle to the states before (radians)"


def test_a_network_whose_states_nobody_compared_says_so_and_one_edit_has_no_bars(connection):
    (part,) = figure("edits", connection, models=["decoder"]).subfigs
    assert part._suptitle.get_text() == "decoder, on digits:test"
    assert [text.get_text() for text in part.axes[1].texts] == ["no states were compared"]
    bars = np.array(part.axes[0].containers[0].lines[2][0].get_segments())
    assert (bars[:, 0] == bars[:, 1]).all()


@pytest.mark.parametrize("kind", ["tradeoff", "edits"])
def test_all_networks_fit_on_one_canvas_and_the_same_rows_give_the_same_bytes(connection, kind):
    first, second = (as_png(figure(kind, connection), 40) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")


@pytest.mark.parametrize(("kind", "what"), [("tradeoff", "is no trade-off"), ("edits", "are no edits")])
def test_what_cannot_be_drawn_is_one_line(connection, kind, what):
    with pytest.raises(BadInput, match=rf"^there {what} to draw for 'gpt': run `isoscope [^\n]*first$"):
        figure(kind, connection, models=["gpt"])


def test_too_many_networks_are_refused(tmp_path):
    full = open_store(tmp_path / "store", 20)
    networks = [a_checkpoint(1, f"net-{place}") for place in range(7)]
    record_together(full, [a_record(full, an_edit(checkpoint=one), one, moved=(), delta=None) for one in networks])
    publish(full)
    with reading(full) as connection:
        with pytest.raises(BadInput, match="a figure holds 6 networks; 7 have rows: name a model and a dataset"):
            figure("tradeoff", connection)
        with pytest.raises(BadInput, match="a figure holds 5 networks; 7 have rows: name a model and a dataset"):
            figure("edits", connection)


@pytest.fixture(scope="module")
def drawn(store, tmp_path_factory):
    place = tmp_path_factory.mktemp("page") / "report.html"
    with reading(store) as connection:
        written = write_report(connection, place, {}, "store", datetime(2026, 1, 2, tzinfo=UTC))
    assert written.sections[:2] == (TRADE_OFF.title, BROKEN.title)
    found = re.findall(r'application/json">(.*?)</script>', place.read_text(), re.DOTALL)
    return {one["layout"]["title"]["text"]: one for one in map(json.loads, found)}


def lines(found):
    return {trace["name"]: trace for trace in found["data"] if "name" in trace}


def test_the_page_draws_the_trade_off_with_its_front(drawn):
    found = lines(drawn["Robustness lost against success: edited at step 100 on digits:test"])
    assert list(found) == ["1-li at blocks.1", "Pareto front", "fine-tuning", "low-rank at blocks.1"]
    assert found["low-rank at blocks.1"]["x"] == pytest.approx([0.45, 0.75])
    assert found["low-rank at blocks.1"]["y"] == pytest.approx([0.02, 0.06])
    assert found["Pareto front"]["x"] == pytest.approx([0.45, 0.65, 0.75, 0.85])
    assert found["Pareto front"]["line"]["dash"] == "dash"
    reach = 4.303 * 0.01 / 3**0.5
    assert found["fine-tuning"]["error_y"]["array"] == pytest.approx([reach], rel=1e-3)


def test_the_page_draws_what_breaks_what_moves_and_where_facts_are_recalled(drawn):
    name = "edited at step 100 on digits:test"
    broken = lines(drawn[f"Accuracy by severity of corruptions: {name}"])
    assert broken["low-rank, rank 4"]["y"] == pytest.approx([0.84, 0.74, 0.69])
    assert broken["untouched"]["y"] == pytest.approx([0.9, 0.8, 0.75])
    assert broken["untouched"]["line"]["dash"] == "dot"
    assert lines(drawn[f"Which layers moved: {name}"])["1-li, alpha 0.5"]["y"] == pytest.approx([0, 0.1, 0.2])
    trace = lines(drawn["Where its own answer is recalled: edited at step 100 for facts"])
    assert trace["mlp at subject-last"]["y"] == pytest.approx([0.1, 0.2, 0.3])
    assert trace["state at last"]["y"] == pytest.approx([0.1, 0.2, 0.3])


def test_every_question_of_the_page_can_be_asked_by_anybody_and_a_filter_leaves_the_others_out(store, tmp_path):
    with reading(store) as connection:
        filters = {"model": ["decoder"], "dataset": [ASKED_ON.name]}
        write_report(connection, tmp_path / "one.html", filters, "store", datetime(2026, 1, 2, tzinfo=UTC))
    text = (tmp_path / "one.html").read_text()
    assert "decoder on digits:test" in text
    assert CHECKPOINT.checkpoint_id not in text
    assert "edited at step" not in text
    with duckdb.connect(str(store.published), read_only=True) as opened:
        assert opened.execute("select count(*) from lab.edit_pareto where model = 'decoder'").fetchone() == (2,)
