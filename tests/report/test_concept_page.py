"""The report's sections of concepts: profiles, galleries, quality and removal curves, from really recorded rows."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape

import duckdb
import numpy as np
import plotly.graph_objects as go
import pytest
from browser import find_chromium, opened
from concept_builders import ENSEMBLE, a_picture, record_members, some_concept
from store_builders import a_checkpoint

from service.report.asking import figures, known
from service.report.concept_section import LOCATION
from service.report.page import write_report
from service.report.removal_section import REMOVAL
from service.report.spreads import band, bars
from service.storage.database import open_store, publish, reading

HOSTILE = "<script>alert('1')</script> & \"quoted\""
BREAKS_OUT = 'data:image/png;base64,AAAA" onerror="alert(1)'
OTHER_KIND = "data:image/svg+xml;base64,PHN2Zz48L3N2Zz4="
PREVIEWS = (a_picture(), HOSTILE, BREAKS_OUT, OTHER_KIND, a_picture(1) + "\n", None)
NAME = f"loop in {ENSEMBLE} at layer 1 by trak on digits:train"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = open_store(tmp_path_factory.mktemp("concepts") / "store", 20)
    some_concept(made, PREVIEWS)
    record_members(made, [(a_checkpoint(200, "vision-alone"), "vision-alone", 0.9)])
    publish(made)
    return made


@pytest.fixture(scope="module")
def page(store, tmp_path_factory):
    place = tmp_path_factory.mktemp("page") / "report.html"
    with reading(store) as connection:
        return write_report(connection, place, {}, "store", datetime(2026, 1, 2, tzinfo=UTC))


def drawn(page):
    found = re.findall(r'application/json">(.*?)</script>', page.path.read_text(), re.DOTALL)
    figures = map(json.loads, found)
    return {figure["layout"]["title"]["text"]: figure for figure in figures}


def lines(figure):
    return {trace["name"]: trace for trace in figure["data"] if "name" in trace}


def test_the_profile_of_an_ensemble_is_a_mean_over_members_in_a_band_beside_control_and_chance(page):
    figures = drawn(page)
    figure = figures[f"Accuracy by layer: loop in {ENSEMBLE} on python-reference"]
    found = lines(figure)
    assert list(found) == ["concept", "control: shuffled labels", "chance: the commoner class"]
    assert found["concept"]["y"] == pytest.approx([0.86, 0.96])
    assert found["control: shuffled labels"]["y"] == pytest.approx([0.56, 0.56])
    assert found["control: shuffled labels"]["line"]["dash"] == "dash"
    assert found["chance: the commoner class"]["y"] == pytest.approx([0.6, 0.6])
    bands = [trace for trace in figure["data"] if trace.get("fill") == "toself"]
    assert len(bands) == 2
    spread = 0.1 / 2**0.5
    assert bands[0]["x"] == [0, 1, 1, 0]
    assert bands[0]["y"] == pytest.approx([0.86 + spread, 1.0, 0.96 - spread, 0.86 - spread])  # no more than all
    alone = lines(figures["Accuracy by layer: loop in vision-alone on python-reference"])
    assert alone["concept"]["y"] == pytest.approx([0.81, 0.91])
    assert not any("without" in title for title in figures)


def test_the_removal_curve_starts_every_line_at_nothing_taken_with_bars_that_end_where_a_share_does(page):
    figures = drawn(page)
    found = lines(figures[f"Accuracy of the best layer&#x27;s probe: {NAME}"])
    assert list(found) == ["random", "top", "chance"]
    top = found["top"]
    assert [row[1] for row in top["customdata"]] == ["0", "10"]
    assert top["y"] == pytest.approx([0.96, 0.56])
    upper, lower = (np.array(top["error_y"][end]) for end in ("array", "arrayminus"))
    assert top["y"] + upper == pytest.approx([1.0, 1.0])
    assert top["y"] - lower == pytest.approx([0.96 - 12.706 * 0.05, 0.0])
    assert top["x"][1] > found["random"]["x"][1]  # beside each other
    assert lines(figures[f"What the networks are trained for: {NAME}"])["top"]["y"] == pytest.approx([0.75] * 2)
    assert f"Where the concept sits: its centre of gravity: {NAME}" in figures
    assert "Does the concept move, fall to chance, is it spread over other items too?" in page.path.read_text()


def test_what_is_not_known_has_no_bar_and_no_band():
    found = bars(None, [None, 0.4], [None, 1.2], [0.9, 0.9], (0.0, 1.0))
    assert found["array"] == pytest.approx([0.0, 0.1])
    assert found["arrayminus"] == pytest.approx([0.0, 0.5])
    line = go.Scatter(x=[0, 1], y=[0.9, 0.9], line_color="#0072B2")
    assert band(line, [None, 0.4], [None, 1.2], (0.0, 1.0)).to_plotly_json()["y"] == [1.0, 0.4]


def test_qualities_stand_in_the_order_of_what_is_judged(page):
    (figure,) = (figure for title, figure in drawn(page).items() if title.startswith("Quality of attributions"))
    assert figure["layout"]["yaxis"]["categoryarray"] == ["mislabelled-auroc, random", "mislabelled-auroc, trak"]
    assert figure["data"][0]["error_x"]["array"] == pytest.approx([0.1])


def test_only_a_png_becomes_the_source_of_an_image_and_all_else_is_quoted(page):
    text = page.path.read_text()
    assert {unescape(source) for source in re.findall(r'<img src="([^"]*)"', text)} == {a_picture()}
    quoted = {unescape(words) for words in re.findall(r"<q>(.*?)</q>", text, re.DOTALL)}
    assert quoted == {HOSTILE, BREAKS_OUT, OTHER_KIND, a_picture(1) + "\n"}
    assert "<script>alert" not in text
    assert 'onerror="' not in text


def test_galleries_have_the_best_method_first_and_all_their_sql_can_be_asked(store, page):
    text = page.path.read_text()
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert titles == [
        f"probe for loop in {ENSEMBLE} at layer 1 by {method} on digits:train" for method in ("trak", "random")
    ]
    assert text.count("Of 1000 training items, for the mean over the 100 target items of python-reference.") == 2
    assert text.count("target item 5: most responsible") == 2
    with duckdb.connect(str(store.published), read_only=True) as connection:
        for sql in map(unescape, re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)):
            connection.execute(sql)


def test_a_filter_names_an_ensemble_or_a_member_of_it_and_either_dataset(store):
    profile, curve = LOCATION.charts[0], REMOVAL.charts[0]
    with reading(store) as connection:
        assert {ENSEMBLE, "vision-alone"} <= set(known(connection, "model"))
        for dataset in ("digits:train", "python-reference"):
            found, total = figures(connection, curve, {"model": [ENSEMBLE], "dataset": [dataset]})
            assert ([name for name, _ in found], total) == ([NAME], 1)
        assert figures(connection, curve, {"model": ["vision-alone"]}) == ([], 0)
        ((name, answer),), _ = figures(connection, profile, {"model": ["vision-x-2-none-0-0"], "dataset": []})
        assert name == f"loop in {ENSEMBLE} on python-reference"
        assert set(answer.column("networks")) == {1}


@pytest.fixture(scope="module")
def tab(page, tmp_path_factory):
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("there is no Chromium: install one, or name it with ISOSCOPE_CHROMIUM")
    with opened(tmp_path_factory.mktemp("profile"), chromium) as tab:
        tab.open(page.path)
        yield tab


def test_in_a_browser_pictures_are_seen_enlarged_and_texts_are_words(tab, page):
    seen = tab.ask(
        "[...document.querySelectorAll('.gallery > ol img')].map(one => [one.complete, one.naturalWidth, one.width, one.alt,"
        " getComputedStyle(one).imageRendering])"
    )
    assert seen[0] == [True, 8, 64, "training item 0", "pixelated"]
    assert len(seen) == 4
    words = tab.ask("[...document.querySelectorAll('.gallery q')].map(one => one.textContent)")
    assert words[0] == HOSTILE
    assert tab.ask("document.querySelectorAll('.gallery script').length") == 0
    tab.ask("places.forEach(draw)")
    tab.until("[...places].every(one => one.querySelector('.main-svg :is(.trace, .points)') !== null)")
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith(("data:", "blob:"))] == [page.path.as_uri()]
