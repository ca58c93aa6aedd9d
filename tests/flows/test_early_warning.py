"""A small study of early warnings, from the command to rows, figure and artifacts, in a store of its own."""

from __future__ import annotations

import json
import signal
import subprocess

import httpx
import numpy as np
import pytest
from command_process import CommandProcess
from service_process import until
from sklearn.metrics import roc_auc_score

from service.experiments.early_warning import SIGNALS, Study, missing, series_of
from service.experiments.warning_scores import HORIZONS, labelled
from service.report.figures import figure
from service.storage.answers import ask
from service.storage.database import Store, reading
from service.storage.rebuilding import rebuild

GRID = (
    "early-warning",
    "--condition",
    "none",
    "--condition",
    "bad batches",
    "--seeds",
    "2",
    "--steps",
    "200",
    "--every",
    "4",
)
STUDY = Study(("none", "bad batches"), 2, 200, 4)


@pytest.fixture(scope="module")
def studied(isoscope, tmp_path_factory):
    """A store with one small study, and what the command printed as JSON."""
    root = tmp_path_factory.mktemp("early-warning") / "store"
    done = isoscope(*GRID, "--json", store=root)
    assert done.returncode == 0, done.stderr
    return Store(root, 20), json.loads(done.stdout)


def test_the_study_leaves_scores_for_every_signal_horizon_and_cause(studied):
    store, printed = studied
    found = ask(store, "select * from lab.early_warning_scores").to_pylist()
    assert len(found) == len(printed) == len(HORIZONS) * len(SIGNALS) * 5
    assert {row["cause"] for row in found} == {"all", "induced", "natural", "bad batches"}
    assert {row["study"] for row in found} == {STUDY.name}
    natural = [row for row in found if row["cause"] == "natural"]
    assert all((row["auroc"], row["note"]) == (None, "there is no spike to foretell") for row in natural)
    assert missing(store, STUDY) == []


def test_the_trainings_are_logged_at_every_step_and_probed_at_every_fourth(studied):
    store, _ = studied
    rows = ask(
        store,
        "select model, count(*) as steps, count(update_norm) as updates, max(step) as last "
        "from lab.training_losses group by all",
    ).to_pylist()
    assert [(row["steps"], row["updates"], row["last"]) for row in rows] == [(200, 200, 200)] * 4
    probed = ask(
        store, "select distinct model, layer, count(*) as probes from lab.training_geometry group by all"
    ).to_pylist()
    assert [(row["layer"], row["probes"]) for row in sorted(probed, key=str)] == [(2, 50), (3, 50)] * 4


def test_a_score_is_what_the_views_say_by_an_independent_way(studied):
    store, _ = studied
    cells = [labelled(one, "gradient_norm", 50) for one in series_of(store, STUDY)]
    positive = np.concatenate([cell.positive for cell in cells])
    assert positive.any(), "random batches must have made a spike"
    expected = roc_auc_score(positive, np.concatenate([cell.values for cell in cells]))
    query = (
        "select auroc from lab.early_warning_scores where cause = 'all' and signal = 'gradient_norm' and horizon = 50"
    )
    assert ask(store, query)["auroc"].to_pylist() == [pytest.approx(expected)]


def test_the_same_command_again_trains_nothing_and_a_rebuilt_store_has_the_same_scores(studied, isoscope):
    store, printed = studied
    before = len(list((store.root / "ledger").iterdir()))
    done = isoscope(*GRID, store=store.root)
    assert done.returncode == 0, done.stderr
    assert f"study {STUDY.name}" in done.stdout
    assert len(list((store.root / "ledger").iterdir())) == before
    rebuild(store.place, 20)
    again = ask(store, "select * from lab.early_warning_scores order by cause, horizon, signal").to_pylist()
    assert json.loads(json.dumps(again)) == printed


def test_the_figure_shows_every_signal_and_an_unknown_study_is_refused(studied, isoscope, tmp_path):
    store, _ = studied
    with reading(store) as connection:
        drawn = figure("early-warning", connection)
    assert [axes.get_title().rpartition("\n")[2] for axes in drawn.axes[:3]] == [
        f"within {one} steps" for one in HORIZONS
    ]
    assert len(drawn.axes[0].get_yticks()) == len(SIGNALS)
    done = isoscope("plot", "early-warning", "--model", "nothing", "--out", str(tmp_path / "out"), store=store.root)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "run `isoscope early-warning`" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_run_leaves_a_table_and_a_figure_in_prefect(studied, prefect_server):
    keys = {"key": {"like_": STUDY.name}}
    found = httpx.post(f"{prefect_server}/artifacts/filter", json={"artifacts": keys, "limit": 50}).json()
    assert {"table", "image"} <= {artifact["type"] for artifact in found}


def test_an_unknown_condition_or_an_impossible_size_is_one_line(isoscope, tmp_path):
    done = isoscope("early-warning", "--condition", "bad batch", store=tmp_path / "store")
    assert done.returncode == 1
    assert done.stderr.startswith("isoscope: unknown condition 'bad batch': did you mean 'bad batches'?")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_an_interrupted_study_ends_its_trainings_and_goes_on_from_what_is_done(prefect_server, tmp_path):
    environment = {"ISOSCOPE_STORE": str(tmp_path / "store"), "PREFECT_API_URL": prefect_server}
    command = (*GRID[:3], "--seeds", "2", "--steps", "200", "--at-once", "1")
    with CommandProcess(*command, **environment) as process:
        until(lambda: "[2/2] " in process.stderr or process.poll() is not None, "the end of the first training")
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
    assert "Traceback" not in process.stderr
    listing = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert f"parent_pid={process.pid}" not in listing
    store = Store(tmp_path / "store", 20)
    from service.storage.database import open_store, publish

    publish(open_store(store.place, 20))
    assert [one.seed for one in missing(store, Study(("none",), 2, 200))] == [1]
