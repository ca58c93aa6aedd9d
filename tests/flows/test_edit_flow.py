"""Edits from the command line: made, judged beside the untouched network, recorded once, saved, and refused in one line."""

from __future__ import annotations

import json

import pytest
from task_files import LISTS, ZEROS

from service.experiments.edit_grid import Grid
from service.experiments.edit_judging import Judging
from service.experiments.edit_networks import editor_of
from service.experiments.edit_request import asked_edits, read_tasks
from service.experiments.progress import listening
from service.networks.checkpoints import find_checkpoints, load
from service.networks.edits import applied, read_delta
from service.settings import Settings
from service.storage.consistency import check
from service.storage.database import Store
from service.storage.rebuilding import rebuild

JUDGED = ("--count", "60", "--corruption", "gaussian-noise", "--severity", "3,5")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with both tasks; the store goes there."""
    folder = tmp_path_factory.mktemp("edits")
    tuples = LISTS.replace("list", "tuple")
    for name, text in (("zeros", ZEROS), ("lists", LISTS), ("tuples", tuples)):
        (folder / f"{name}.toml").write_text(text)
    return folder


@pytest.fixture
def asked(isoscope, place):
    """A command that succeeds, and what it prints."""

    def ask(*arguments):
        done = isoscope(*arguments, store=place / "store")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return ask


@pytest.fixture
def refused(isoscope, place):
    """The one line by which a command is refused."""

    def ask(*arguments):
        done = isoscope(*arguments, store=place / "refused")
        assert done.returncode == 1, done.stdout + done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        return done.stderr.strip()

    return ask


@pytest.fixture
def images(place, vision_folder):
    """The arguments of edits of the classifier: the last of its two checkpoints, the other draws the line."""
    methods = ("--method", "1-li", "--method", "low-rank", "--alpha", "0,0.5,1", "--rank", "2", "--steps", "15")
    return ("edit", str(vision_folder), "--task", str(place / "zeros.toml"), *methods, "--layer", "2", *JUDGED)


@pytest.fixture
def edited(asked, images):
    """What the command prints, which made the edits or found them made."""
    return asked(*images)


def rows(asked, query):
    """The answer of a query."""
    return json.loads(asked("sql", query, "--format", "json"))


def test_edits_are_judged_by_success_locality_and_robustness_and_recorded_once(asked, images, edited):
    assert "4 edits: " in edited
    found = rows(asked, "select * from lab.edits order by method, alpha")
    assert [(one["method"], one["limited_to"]) for one in found] == [
        ("1-li", "alpha 0"),
        ("1-li", "alpha 0.5"),
        ("1-li", "alpha 1"),
        ("low-rank", "rank 2"),
    ]
    untouched, _, tuned, _ = found
    assert (untouched["locality"], untouched["success"]) == (1.0, untouched["success_before"])
    assert tuned["exemplar_success"] > untouched["exemplar_success"]
    assert tuned["locality"] < 1
    assert tuned["loss_after"] < tuned["loss_before"]
    assert "nothing is missing" in asked(*images)
    assert rows(asked, "select count(*) as n from lab.edit_curves where fit_step = 0") == [{"n": 4}]
    corrected = rows(
        asked, "select distinct cases from lab.edit_scores where measure = 'errors-corrected' order by all"
    )
    under = "select distinct severity from lab.edit_scores where cases = 'held-out' and measure = 'success' order by 1"
    assert [one["severity"] for one in rows(asked, under)] == [0, 3, 5]
    kinds = ["held-out", "other classes", "other classes, style stripes", "style stripes"]
    assert [one["cases"] for one in corrected] == kinds


def test_robustness_stands_beside_the_untouched_network_s_and_the_line(asked, edited):
    robust = rows(asked, "select * from lab.edit_robustness where limited_to = 'alpha 0' order by severity")
    assert [(one["corruption"], one["severity"]) for one in robust] == [
        ("none", 0),
        ("gaussian-noise", 3),
        ("gaussian-noise", 5),
    ]
    assert all(one["accuracy"] == one["untouched_accuracy"] and one["change"] == 0 for one in robust)
    assert {one["line_networks"] for one in robust[1:]} == {2}
    assert rows(asked, "select distinct step from lab.edit_robustness where edit_id is null order by 1") == [
        {"step": 0},
        {"step": 200},
    ]
    tradeoff = rows(asked, "select * from lab.edit_tradeoff where task is null")
    assert len(tradeoff) == 4
    assert any(one["on_front"] for one in tradeoff)


def test_layers_before_the_edited_one_do_not_move_and_later_ones_do(asked, edited):
    query = "select layer, after from lab.edit_drift where measure = 'linear_cka_debiased' and limited_to = {} order by layer"
    still = [one["after"] for one in rows(asked, query.format("'alpha 0'"))]
    moved = [one["after"] for one in rows(asked, query.format("'alpha 1'"))]
    assert still == pytest.approx([1.0] * 5, abs=1e-6)
    assert moved[:2] == pytest.approx([1.0, 1.0], abs=1e-6)
    assert moved[2] < 1 - 1e-6
    assert moved[4] < 1 - 1e-6


def test_a_saved_change_does_to_the_network_what_was_recorded(asked, images, edited, place, vision_folder):
    one = [*images[:4], "--method", "low-rank", "--rank", "2", "--steps", "15", "--layer", "2", *JUDGED]
    assert "nothing is missing" in asked(*one, "--save", str(place / "edit.safetensors"))
    delta = read_delta(place / "edit.safetensors")
    network = load(find_checkpoints(str(vision_folder), ["step200"])[0])
    request = asked_edits(
        str(vision_folder), read_tasks([place / "zeros.toml"]), Grid(("low-rank",)), Judging(count=60), ["step200"]
    )
    sets = editor_of(Settings(store=place / "store"), request.grid).bench(request.parts[0]).sets
    with applied(network, delta):
        met, told = sets.held_out.met(network).float().mean().item(), sets.unrelated.told(network)
    same = (
        (told == sets.unrelated.told(load(find_checkpoints(str(vision_folder), ["step200"])[0]))).float().mean().item()
    )
    (found,) = rows(asked, "select success, locality from lab.edits where method = 'low-rank'")
    assert (found["success"], found["locality"]) == pytest.approx((met, same))
    assert same < 1


def test_a_saved_edit_is_judged_again_elsewhere_and_refused_of_another_network(
    asked, isoscope, refused, images, edited, place, vision_folder
):
    kept = place / "again.safetensors"
    asked(
        *images[:4],
        "--method",
        "low-rank",
        "--rank",
        "2",
        "--steps",
        "15",
        "--layer",
        "2",
        *JUDGED,
        "--save",
        str(kept),
    )
    task = str(place / "zeros.toml")
    of_delta = ("edit", str(vision_folder), "--task", task, "--delta", str(kept), *JUDGED, "--json")
    done = isoscope(*of_delta, store=place / "elsewhere")
    assert done.returncode == 0, done.stdout + done.stderr
    again = json.loads(done.stdout)["edits"][0]
    first = rows(asked, "select * from lab.edits where method = 'low-rank'")[0]
    same = ("edit_id", "success", "locality", "weights_changed", "rank")
    assert [again[name] for name in same] == [first[name] for name in same]
    other = refused(
        "edit", str(vision_folder), "--revision", "step0", "--task", str(place / "zeros.toml"), "--delta", str(kept)
    )
    assert "is of a network whose weights have digest" in other
    assert "give one of the two" in refused(*of_delta[:-1], "--method", "low-rank")
    given = (
        "--rank",
        "2",
        "--layer",
        "2",
        "--alpha",
        "0.5",
        "--steps",
        "3",
        "--rate",
        "0.1",
        "--seeds",
        "2",
        "--search",
        "2",
    )
    line = refused(*of_delta[:-1], *given)
    assert "leave out --layer, --rank, --alpha, --steps, --rate, --seeds, --search, or --delta" in line
    (place / "empty.safetensors").touch()
    line = refused(*of_delta[:4], "--delta", str(place / "empty.safetensors"))
    assert "empty.safetensors is empty" in line


def test_the_store_agrees_with_its_files_and_is_made_again_from_them(asked, edited, place):
    store = Store(place / "store", 5)
    assert check(store) == []
    before = rows(asked, "select * from lab.edits order by edit_id")
    rebuild(place / "store", 5)
    assert rows(asked, "select * from lab.edits order by edit_id") == before


def test_an_interrupted_command_keeps_what_it_made_and_leaves_the_network_as_it_was(place, vision_folder):
    tasks = read_tasks([place / "zeros.toml"])
    grid, judging = Grid(("one-layer", "low-rank"), layers=("2",), steps=5), Judging(count=20, severities=(3,))
    request = asked_edits(str(vision_folder), tasks, grid, judging, ["step200"])
    editor = editor_of(Settings(store=place / "interrupted"), grid)
    part = request.parts[0]
    before = {name: one.clone() for name, one in editor.bench(part).network.module.state_dict().items()}

    def stop(step):
        if "low-rank" in step.subject:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(stop):
        editor.edit(part, {})
    after = editor.bench(part).network.module.state_dict()
    assert all((one == after[name]).all() for name, one in before.items())
    assert [edit.method for edit in editor.lacking(part, {})] == ["low-rank"]
    assert len(editor.edit(part, {}).edits) == 1
    assert editor.lacking(part, {}) == []


def test_a_search_tries_as_many_edits_as_its_budget_and_keeps_the_best(place, vision_folder):
    tasks, grid = read_tasks([place / "zeros.toml"]), Grid(("low-rank",), steps=5, budget=3)
    request = asked_edits(str(vision_folder), tasks, grid, Judging(count=20, severities=(3,)), ["step200"])
    editor, part = editor_of(Settings(store=place / "searched"), grid), request.parts[0]
    search = editor.searches(part)[0]
    assert len(search.tried) == len(editor.untried(search)) == 3
    (best,) = editor.chosen(part)["low-rank"]
    assert editor.untried(search) == []
    assert best in search.tried
    assert [edit.edit_id for edit in editor.edits(part, {"low-rank": [best]})] == [best.edit_id]
    scores = editor.bench(part).scores
    assert (list(scores.told), scores.before) == (["validation unrelated"], {})  # what judges was not looked at
    with pytest.raises(KeyError):
        list(scores.scores())


def test_a_decoder_is_edited_by_rome_where_the_causal_trace_says(asked, place, decoder_folder):
    tasks = ("--task", str(place / "lists.toml"), "--task", str(place / "tuples.toml"))
    given = ("edit", str(decoder_folder), "--revision", "step64", *tasks)
    said = asked(
        *given, "--method", "rome", "--method", "one-layer", "--steps", "10", "--count", "6", "--severity", "3"
    )
    assert "4 edits: " in said
    found = rows(asked, "select * from lab.edits where task = 'a list is a number' order by method")
    assert [(one["method"], one["limited_to"]) for one in found] == [("one-layer", "one layer"), ("rome", "rank 1")]
    trace = rows(
        asked,
        "select layer, effect, note, answer, answer_probability from lab.causal_trace where place = 'subject-last' "
        "and restored = 'mlp' and task = 'a list is a number' order by effect desc",
    )
    assert len(trace) == 3
    assert trace[0]["answer"] not in (None, "number")
    assert 0 < trace[0]["answer_probability"] <= 1
    located = trace[0]["layer"] if trace[0]["note"] is None else 2
    assert rows(asked, "select count(distinct task) as n from lab.causal_trace") == [{"n": 2}]
    assert str(located - 1) in found[1]["layer"].split(".")
    corrupted = rows(
        asked, "select distinct corruption from lab.edit_robustness where edit_id is not null and kind = 'decoder'"
    )
    assert {one["corruption"] for one in corrupted} == {"none", "character-noise", "casing", "word-dropout", "template"}
