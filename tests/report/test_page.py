"""The report: a page from really recorded rows, opened in a real browser."""

from __future__ import annotations

import json
import re
import resource
import signal
from datetime import UTC, datetime
from html import unescape

import duckdb
import numpy as np
import pytest
from browser import find_chromium, opened
from concept_builders import some_concept
from edit_builders import some_edits
from pair_builders import some_pairs, some_stitches
from store_builders import a_checkpoint, a_run, an_entry, some_drift, some_separability
from typer.testing import CliRunner

from service.cli import app
from service.errors import BadInput, StoreNotWritable, UnknownName
from service.report.asking import literal
from service.report.page import write_report
from service.report.sections import SECTIONS
from service.results import Estimate, ProbeResult, TrainingStep
from service.storage.database import open_store, publish, reading
from service.storage.finding_rows import record_findings
from service.storage.rows import record
from service.storage.score_rows import record_scores
from service.storage.stitch_rows import record_stitches
from service.storage.training_rows import TrainingEntry, record_training

HOSTILE = "</script><script>alert('1')</script><b>\"x\"</b>&{{7*7}}"
MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A published store with rows of every section, one of its models with a name that means harm."""
    store = open_store(tmp_path_factory.mktemp("report") / "store", 20)
    for model in ("tiny", HOSTILE):
        for step in (0, 1, 16):
            record(store, an_entry(store, layers=4, checkpoint=a_checkpoint(step, model), value=0.5))
            record_findings(store, some_drift(a_checkpoint(step, model)))
            record_findings(store, some_separability(a_checkpoint(step, model)))
    compared = some_pairs(store, a_checkpoint(16, "tiny"), a_checkpoint(16, HOSTILE))
    record_findings(store, compared, shared=("run_id",))
    record_stitches(store, some_stitches(a_checkpoint(16, "tiny"), a_checkpoint(16, HOSTILE)))
    some_concept(store, removals={("none", 0): 0.9, ("top", 10): 0.5}, networks=1)
    some_edits(store, a_checkpoint(100, "edited"), seeds=(0,))
    losses = 2 + 0.01 * np.random.default_rng(0).standard_normal(300)
    losses[250] = 9.0
    probes = [
        ProbeResult(step, layer, "residual", "twonn", 1, "corrected/all", Estimate(5 + step / 100 + layer, 0.5, 99))
        for step in range(10, 300, 10)
        for layer in (1, 2)
    ]
    steps = [TrainingStep(place + 1, float(loss), 0.3) for place, loss in enumerate(losses)]
    record_training(store, TrainingEntry(a_run(a_checkpoint(7)), "exploding", "monitor", steps, "probe", [], probes))
    score = {"trainings": 3, "spikes": 2, "steps": 100, "auroc": 0.7, "auroc_low": 0.6, "auroc_high": 0.8}
    rest = {"precision_at_alarms": 0.5, "recall_at_alarms": 0.4, "false_alarms_per_1000_steps": 2.0, "note": None}
    rows = [
        {"study": "s", "cause": "all", "signal": signal, "horizon": horizon, **score, **rest}
        for signal in ("loss", "gradient_norm")
        for horizon in (10, 50)
    ]
    record_scores(store, a_run(a_checkpoint(8)), "s", rows)
    publish(store)
    return store


def write(store, place, **filters):
    with reading(store) as connection:
        return write_report(connection, place, filters, str(store.place), MADE)


@pytest.fixture(scope="module")
def page(full, tmp_path_factory):
    place = tmp_path_factory.mktemp("page") / "report.html"
    return write(full, place)


def queries(path):
    return [unescape(found) for found in re.findall(r"<pre>(.*?)</pre>", path.read_text(), re.DOTALL)]


def data(path):
    return [json.loads(one) for one in re.findall(r'application/json">(.*?)</script>', path.read_text(), re.DOTALL)]


def test_every_section_has_rows_here_and_is_on_the_page(page):
    assert page.sections == tuple(section.title for section in SECTIONS)
    assert page.bytes == page.path.stat().st_size
    assert page.figures == len(data(page.path)) > 10


def test_the_sql_that_is_shown_gives_the_figure_that_is_drawn(full, page):
    shown, drawn = queries(page.path), data(page.path)
    assert len(shown) > len(drawn)
    with duckdb.connect(str(full.published), read_only=True) as connection:
        answers = [connection.execute(sql) for sql in shown]  # all of them can be asked by anybody
        assert all("lab." in sql and "main." not in sql for sql in shown)
    loss = next(figure for figure in drawn if figure["layout"]["title"]["text"] == "Loss: exploding")
    sql = next(sql for sql in shown if "left join lab.loss_spikes" in sql)
    with duckdb.connect(str(full.published), read_only=True) as connection:
        rows = connection.execute(sql).fetchall()
    assert (loss["data"][0]["x"], loss["data"][0]["y"]) == ([row[0] for row in rows], [row[1] for row in rows])
    assert loss["data"][1]["x"] == [row[0] for row in rows if row[4]] == [251]
    assert len(answers) == len(shown)


def test_bars_are_two_standard_errors_and_intervals_reach_to_their_ends(page):
    drawn = {figure["layout"]["title"]["text"]: figure for figure in data(page.path)}
    first = drawn["Anisotropy: tiny on python-reference"]["data"][0]
    assert first["name"] == "step 0"
    assert first["error_y"]["array"] == pytest.approx([0.02] * 4)
    warning = drawn["Early warning: s"]["data"][0]["error_x"]
    assert (warning["array"], warning["arrayminus"]) == (pytest.approx([0.1] * 2), pytest.approx([0.1] * 2))


def test_pairs_of_layers_stand_in_the_order_of_depth_also_where_the_first_line_has_not_all(page):
    drawn = {figure["layout"]["title"]["text"]: figure for figure in data(page.path)}
    (stitched,) = (
        figure for title, figure in drawn.items() if title.startswith("Penalty by pair of layers: tiny and ")
    )
    assert stitched["layout"]["xaxis"]["categoryarray"] == ["1 to 1", "2 to 1", "10 to 2"]
    assert [trace["name"] for trace in stitched["data"]] == ["affine", "identity"]


def test_a_filter_is_in_the_sql_and_leaves_out_the_others(full, tmp_path):
    found = write(full, tmp_path / "one.html", model=["tiny"], dataset=[])
    text = (tmp_path / "one.html").read_text()
    assert "exploding" not in text
    about_layers = "The shape of the layers", "The path of the layers", "Telling layers apart"
    assert found.sections == (*about_layers, "As released and as corrected", "What the store holds")
    assert not any(HOSTILE in sql for sql in queries(tmp_path / "one.html"))
    between = "Do two networks think alike?, What is one network&#39;s layer worth to another?"
    of_concepts = "Where concepts sit, Which training items made them, How far attributions can be trusted"
    of_edits = "What is left of a concept without its items, What edits achieve, and what they cost, What edits break"
    assert f"The store has no rows yet for: {between}, {of_concepts}, {of_edits}" in text
    write(full, tmp_path / "two.html", model=["s"], dataset=[])
    assert "Early warning: s" in (tmp_path / "two.html").read_text()


def test_no_name_ends_the_element_that_it_stands_in(page):
    text = page.path.read_text()
    assert "<script>alert" not in text
    assert text.count("<b>") == 0
    assert "{{7*7}}" in text
    assert any(HOSTILE.replace("'", "''") in sql for sql in queries(page.path))


def test_a_literal_is_what_duckdb_reads_back():
    for value in ("it's", HOSTILE, "a\\'b", ""):
        assert duckdb.execute(f"select {literal(value)}").fetchone() == (value,)


def test_bad_input_is_named_and_nothing_is_written(full, tmp_path):
    with pytest.raises(UnknownName, match="unknown model 'tinny': did you mean 'tiny'"):
        write(full, tmp_path / "a.html", model=["tinny"], dataset=[])
    with pytest.raises(UnknownName, match="unknown dataset 'x'"):
        write(full, tmp_path / "a.html", model=[], dataset=["x"])
    with pytest.raises(BadInput, match="--out needs a file"):
        write(full, tmp_path)
    empty = open_store(tmp_path / "empty", 20)
    publish(empty)
    with pytest.raises(BadInput, match="there is nothing to report yet: run `isoscope shape`"):
        write(empty, tmp_path / "a.html")
    assert not list(tmp_path.glob("*.html*"))
    assert not list(tmp_path.glob(".*.draft"))


def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_drawn(full, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("drawn for nothing")

    monkeypatch.setattr("service.report.page._part", never)
    with pytest.raises(StoreNotWritable, match=r"cannot be written to .*: No such file"):
        write(full, tmp_path / "nowhere" / "a.html")
    with pytest.raises(StoreNotWritable, match=r"cannot be written to /proc/a\.html"):
        write(full, type(tmp_path)("/proc/a.html"))


def test_a_report_that_cannot_be_written_leaves_the_one_that_was_there(full, tmp_path):
    place = tmp_path / "report.html"
    place.write_text("the old one")
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, kept[1]))
    try:
        with pytest.raises(StoreNotWritable, match="File too large"):
            write(full, place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, before)
    assert place.read_text() == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_command_says_what_it_wrote(full, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOSCOPE_STORE", str(full.place))
    out = tmp_path / "r.html"
    done = CliRunner().invoke(app, ["report", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["figures"] == len(data(out))
    done = CliRunner().invoke(app, ["report", "--model", "tiny", "--out", str(out)])
    assert re.fullmatch(r".*r\.html: 5 sections, \d+ figures, \d+ rows, \d\.\d MB\n", done.stdout)


@pytest.fixture(scope="module")
def tab(page, tmp_path_factory):
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("there is no Chromium: install one, or name it with ISOSCOPE_CHROMIUM")
    with opened(tmp_path_factory.mktemp("profile"), chromium) as tab:
        tab.open(page.path)
        yield tab


def test_in_a_browser_every_section_is_there_and_every_figure_is_drawn_without_a_word_or_a_request(tab, page):
    headings = tab.ask("[...document.querySelectorAll('section h2')].map(one => one.textContent)")
    assert tuple(headings) == page.sections
    assert tab.ask("[...document.querySelectorAll('section')].every(one => one.getBoundingClientRect().height > 100)")
    count = tab.ask("places.length")
    for place in range(count):
        tab.ask(f"places[{place}].scrollIntoView()")
        tab.until(f"places[{place}].querySelector('.main-svg :is(.trace, .points, .hm)') !== null")
    assert count == page.figures
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith(("data:", "blob:"))] == [page.path.as_uri()]
    assert tab.ask("document.querySelectorAll('b').length") == 0


def test_a_figure_names_the_point_under_the_mouse_and_zooms(tab):
    chosen = "[...places].find(one => one.figure && one.figure.layout.title.text.startsWith('Loss: exploding'))"
    tab.ask("places.forEach(draw)")
    tab.ask(f"{chosen}.scrollIntoView({{block: 'center'}})")
    x, y = tab.ask(
        f"""(() => {{ const plot = {chosen}, area = plot.querySelector('.nsewdrag').getBoundingClientRect();
        const at = plot._fullLayout; return [area.x + at.xaxis.d2p(251), area.y + at.yaxis.d2p(9)]; }})()"""
    )
    tab.mouse("mouseMoved", x + 40, y + 60)
    tab.mouse("mouseMoved", x, y)
    told = tab.until(f"{chosen}.querySelector('.hoverlayer .hovertext')?.textContent")
    assert "step: 251" in told
    assert "loss: 9" in told
    before = tab.ask(f"{chosen}.layout.xaxis.range")
    tab.mouse("mousePressed", x - 200, y + 30, button="left", clickCount=1)
    for way in (100, 150, 180):
        tab.mouse("mouseMoved", x - 200 + way, y + 150, button="left", buttons=1)
    tab.mouse("mouseReleased", x - 20, y + 150, button="left", clickCount=1)
    tab.until(f"Math.abs({chosen}.layout.xaxis.range[1] - ({before[1]})) > 1")
    assert tab.complaints == []


def test_a_heat_map_has_chance_taken_off_by_a_button_and_keeps_it_so_when_the_page_turns_dark(tab):
    chosen = "[...places].find(one => one.figure && one.figure.layout.title.text.startsWith('All pairs of layers'))"
    tab.ask("places.forEach(draw)")
    button = f"[...{chosen}.querySelectorAll('.updatemenu-button')].find(one => one.textContent === 'less chance')"
    tab.until(f"({button}) !== undefined")
    before = tab.ask(f"{chosen}.data[0].z")
    tab.ask(f"{button}.dispatchEvent(new MouseEvent('click'))")
    less = np.array(before) - 0.1
    assert np.allclose(tab.until(f"{chosen}.layout.updatemenus[0].active === 1 && {chosen}.data[0].z"), less)
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    tab.until(f"{chosen}.layout.font.color === '#e6e7e9'")
    assert tab.ask(f"{chosen}.layout.updatemenus[0].active") == 1
    assert np.allclose(tab.ask(f"{chosen}.data[0].z"), less)
    assert tab.complaints == []


def test_a_table_is_sorted_by_its_heads_numbers_as_numbers_and_what_is_not_known_last(tab):
    chosen = "[...document.querySelectorAll('h3')].find(one => one.textContent === 'Models').nextElementSibling"
    column = "[...t.rows].slice(1).map(row => row.cells[0].textContent)"
    for sign, order in ((1, sorted), (-1, lambda names: sorted(names, reverse=True))):
        names = tab.ask(
            f"(() => {{ const t = {chosen}.querySelector('table'); t.querySelector('th button').click(); return {column}; }})()"
        )
        assert names == order(names), sign
        assert len(names) == 6
    numbers = """(() => { const t = [...document.querySelectorAll('table')].find(one => one.tHead.textContent
        .startsWith('started_at')); const place = [...t.tHead.rows[0].cells].findIndex(one => one.textContent === 'step');
        t.tHead.rows[0].cells[place].querySelector('button').click();
        return [...t.tBodies[0].rows].map(row => row.cells[place].textContent); })()"""
    found = tab.ask(numbers)
    known = [int(text) for text in found if text]
    assert known == sorted(known)
    assert known[-1] == 200
    assert found[-2:] == ["", ""]
