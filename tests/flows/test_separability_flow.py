"""The study of separability by its commands, in a store of its own: rows, figure, queries, and what is refused."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import httpx
import pytest
from command_process import CommandProcess
from service_process import until

from service.command_study import questions
from service.report.figures import figure
from service.storage.answers import ask
from service.storage.database import Store, reading

DOCS = Path(__file__).parents[2] / "docs" / "queries.md"
FEW = ("--texts", "24", "--length", "16", "--seeds", "2")
KEY = "python-reference[texts=24,length=16]"


@pytest.fixture(scope="module")
def studied(isoscope, decoder_folder, tmp_path_factory):
    """A store with the whole study of a trained decoder at two steps, and what the command printed."""
    root = tmp_path_factory.mktemp("studied") / "store"
    command = ("study", "separability", str(decoder_folder), "--revision", "step1", "--revision", "step64", *FEW)
    more = (
        "--dataset",
        "python-reference",
        "--dataset",
        "random-tokens",
        "--scaling-texts",
        "10",
        "--scaling-lengths",
        "8,16",
    )
    done = isoscope(*command, *more, store=root)
    assert done.returncode == 0, done.stderr
    return Store(root, 20), (*command, *more), done.stdout


def test_the_whole_study_answers_every_one_of_its_six_questions(studied):
    store, _, printed = studied
    assert "tiny-decoder: 17 questions answered" in printed
    for title, query in questions("tiny-decoder", KEY):
        assert f"-- {title}\n" in printed
        assert ask(store, query).num_rows, title
    parted = ask(
        store,
        "select step from lab.layer_separability where layer is null and classifier = 'logistic' and from_layer = 0",
    )
    assert sorted(set(parted["step"].to_pylist())) == [1, 64]


def test_the_queries_of_the_documentation_are_these_and_answer(studied):
    store, *_ = studied
    documented = re.findall(r"```sql\n(.*?)\n```", DOCS.read_text(), re.DOTALL)
    shown = [query for _, query in questions("stories260K-hf", "test.txt")]
    assert documented[: len(shown)] == shown
    for query in documented:
        ask(store, query)


def test_the_same_command_again_does_nothing_and_prints_json(studied, isoscope):
    store, command, _ = studied
    before = len(list((store.root / "ledger").iterdir()))
    done = isoscope(*command, "--json", store=store.root)
    assert done.returncode == 0, done.stderr
    assert [len(rows) > 0 for rows in json.loads(done.stdout)["tiny-decoder"].values()] == [True] * 6
    assert len(list((store.root / "ledger").iterdir())) == before


def test_separate_prints_accuracies_and_goes_without_the_dimensions_named(studied, isoscope, decoder_folder):
    store, *_ = studied
    done = isoscope("separate", str(decoder_folder), "--revision", "step64", *FEW, "--mask", "5,3", store=store.root)
    assert done.returncode == 0, done.stderr
    assert "1 questions answered" in done.stdout
    assert "dimensions 3,5, retrained" in done.stdout


def test_the_figure_has_a_panel_for_everything_that_was_asked(studied, isoscope, tmp_path):
    store, *_ = studied
    with reading(store) as connection:
        drawn = figure("separability", connection, ["tiny-decoder"], [KEY])
    titles = [axes.get_title(loc="left") for part in drawn.subfigs for axes in part.axes]
    assert len(titles) == 9
    assert {"confusion, per cent of a layer", "is it only the norm?", "when do the layers part?"} <= set(titles)
    done = isoscope("plot", "separability", "--model", "nothing", "--out", str(tmp_path / "out"), store=store.root)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is no separability to draw for 'nothing': run `isoscope separate` first" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_run_leaves_its_table_and_its_figure_in_prefect(studied, prefect_server):
    keys = {"key": {"like_": "separability"}}
    found = httpx.post(f"{prefect_server}/artifacts/filter", json={"artifacts": keys, "limit": 50}).json()
    assert {"table", "image"} <= {artifact["type"] for artifact in found}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mask", "3,x"), "isoscope: --mask needs whole numbers such as 10,30,100; got '3,x'"),
        (("--classifier", "trees"), "isoscope: unknown classifier 'trees': did you mean 'tree'?"),
    ],
)
def test_what_cannot_be_asked_is_one_line(studied, isoscope, decoder_folder, arguments, said):
    store, *_ = studied
    done = isoscope("separate", str(decoder_folder), "--revision", "step64", *arguments, store=store.root)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(said)


def test_an_interrupted_command_goes_on_from_what_is_recorded(prefect_server, decoder_folder, tmp_path, isoscope):
    root = tmp_path / "store"
    asked = ("separate", str(decoder_folder), "--revision", "step64", *FEW, "--classifier", "lda", "--as-released")
    with CommandProcess(*asked, ISOSCOPE_STORE=str(root), PREFECT_API_URL=prefect_server) as process:
        ledger = root / "ledger"
        until(lambda: ledger.is_dir() and sum(path.name != ".drafts" for path in ledger.iterdir()) > 1, "a run")
        process.send_signal(signal.SIGINT)  # the released procedure takes seconds
        assert process.wait() == 130, process.stderr
    assert "Traceback" not in process.stderr
    done = isoscope(*asked, store=root)
    assert done.stdout.startswith("tiny-decoder: 1 questions answered"), done.stderr
    assert isoscope("check", store=root).stdout == "rows and files agree\n"
