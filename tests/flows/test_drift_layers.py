"""The drift of a really trained decoder's layers, from the command to rows, figures and artifacts, in a store of its own."""

from __future__ import annotations

import json
import math
import sys

import httpx
import numpy as np
import pytest
from sklearn.decomposition import PCA
from tiny_networks import saved
from typer.testing import CliRunner

from service.cli import app
from service.errors import BadInput
from service.experiments.drift_layers import ask as question_of
from service.experiments.drift_layers import missing
from service.networks.checkpoints import find_checkpoints
from service.report.figures import figure
from service.storage import activations, coverage
from service.storage.answers import ask
from service.storage.database import Store, reading
from service.storage.rebuilding import rebuild

ASKED = ("--texts", "24", "--length", "32", "--points", "12", "--revision", "step0", "--revision", "step64")
DATASET = "python-reference[texts=24,length=32]"
VIEWS = ("layer_drift", "norm_growth", "drift_points", "drift_explained_variance", "drift_released_and_corrected")


def command(root, *arguments):
    """The command in this process, which has compiled UMAP once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ISOSCOPE_STORE", str(root))
        return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="module")
def drifted(prefect_server, decoder_folder, tmp_path_factory):
    """A store with the drift of two checkpoints by both procedures, where the figures are, and what was printed as JSON."""
    root = tmp_path_factory.mktemp("drift") / "store"
    out = root.parent / "figures"
    told = ("--name", "tiny", "--as-released", "--out", str(out), "--json")
    done = command(root, "drift", str(decoder_folder), *ASKED, *told)
    assert done.exit_code == 0, done.output
    return Store(root, 20), out, json.loads(done.stdout)


def rows(store, query):
    return ask(store, query).to_pylist()


def clouds_of(store, folder):
    """The states that are in the store of the last checkpoint, layer by layer, and its tokens."""
    (source,) = find_checkpoints(str(folder), ["step64"], "tiny")
    sites = coverage.recorded_sites(store, source.checkpoint.checkpoint_id, DATASET)
    summaries = [activations.read_summary(store, site) for site in sites if site.stream != "final"]
    return [summary.states.double().numpy() for summary in summaries], summaries[0].sample


def test_the_path_of_every_layer_is_a_row_with_its_norms(drifted, decoder_folder):
    store, _, _ = drifted
    found = rows(store, "select * from lab.layer_drift order by step, layer")
    assert [(row["step"], row["layer"]) for row in found] == [(step, layer) for step in (0, 64) for layer in range(4)]
    assert {row["dataset"] for row in found} == {DATASET}
    states, sample = clouds_of(store, decoder_folder)
    for row, cloud, following in zip(found[4:7], states, states[1:], strict=False):
        step = np.linalg.norm(following.mean(0) - cloud.mean(0))
        spread = math.sqrt(np.square(cloud - cloud.mean(0)).sum(1).mean())
        norms = np.linalg.norm(cloud, axis=1)
        assert row["step_length"] == pytest.approx(step)
        assert row["step_over_spread"] == pytest.approx(step / spread)
        assert (row["norm_min"], row["norm_mean"], row["norm_max"]) == pytest.approx(
            (norms.min(), norms.mean(), norms.max())
        )
        later = sample.position.numpy() > 0
        assert row["norm_mean_not_first"] == pytest.approx(norms[later].mean())
        assert row["step_length_std_error"] > 0
        directions = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (cloud, following)]
        released = np.linalg.norm(directions[1].mean(0) - directions[0].mean(0))
        assert row["step_length_released"] == pytest.approx(released, rel=1e-5)
    assert [row["step_angle"] is None for row in found[4:]] == [True, False, False, True]


def test_the_growth_of_the_norm_is_a_row_of_each_checkpoint(drifted, decoder_folder):
    store, _, _ = drifted
    found = rows(store, "select * from lab.norm_growth order by step")
    assert [row["step"] for row in found] == [0, 64]
    means = [np.linalg.norm(cloud, axis=1).mean() for cloud in clouds_of(store, decoder_folder)[0][1:]]
    rate = np.polyfit([1, 2, 3], np.log(means), 1)[0]
    assert found[1]["rate"] == pytest.approx(rate)
    assert found[1]["doubling_layers"] == pytest.approx(math.log(2) / rate)
    assert found[1]["rate_std_error"] > 0
    assert found[1]["rate_not_first"] != found[1]["rate"]


def test_every_plane_holds_the_same_tokens_at_each_layer(drifted):
    store, _, _ = drifted
    counts = rows(
        store,
        "select procedure, reduction, normalised, from_layer, count(distinct layer) as layers, count(*) as points,\n"
        "count(distinct item_id * 10000 + char_end) as tokens, min(position) as first\n"
        "from lab.drift_points where step = 64 group by all order by all",
    )
    assert len(counts) == 3 * 2 * 2 + 2
    for row in counts:
        layers = 4 - row["from_layer"]
        assert (row["layers"], row["points"], row["tokens"]) == (layers, 12 * layers, 12)
        assert row["first"] >= (row["procedure"] == "corrected")
    released = [row for row in counts if row["procedure"] == "released"]
    assert {(row["reduction"], row["normalised"]) for row in released} == {("pca", True)}


def test_the_points_of_pca_are_those_of_scikit_learn_and_their_variance_is_kept(drifted, decoder_folder):
    store, _, _ = drifted
    where = "where step = 64 and procedure = 'corrected' and not normalised and from_layer = 0"
    found = rows(
        store, f"select * from lab.drift_points {where} and reduction = 'pca' order by layer, item_id, position"
    )
    states, sample = clouds_of(store, decoder_folder)
    places = list(zip(sample.item_id.tolist(), sample.position.tolist(), strict=True))
    matrix = np.stack([states[row["layer"]][places.index((row["item_id"], row["position"]))] for row in found])
    fitted = PCA(2).fit(matrix)
    expected, given = fitted.transform(matrix), np.array([(row["x"], row["y"]) for row in found])
    assert np.allclose(given * np.sign((given * expected).sum(0)), expected, atol=1e-5)
    shares = rows(store, f"select * from lab.drift_explained_variance {where} order by component")
    assert [row["explained_variance"] for row in shares] == pytest.approx(list(fitted.explained_variance_ratio_))


def test_both_procedures_stand_side_by_side(drifted):
    store, _, _ = drifted
    found = rows(store, "select * from lab.drift_released_and_corrected where step = 64 order by layer")
    assert [row["layer"] for row in found] == [0, 1, 2, 3]
    assert found[0]["step_over_spread_released"] != found[0]["step_over_spread_corrected"]
    assert all(0 < row["plane_released"] < 1 and 0 < row["plane_corrected"] < 1 for row in found)


def test_a_second_run_finds_nothing_missing_and_starts_no_flow(drifted, decoder_folder, monkeypatch):
    store, out, printed = drifted
    monkeypatch.setitem(sys.modules, "flows.drift_layers", None)  # importing it would fail
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert sorted(map(str, before)) == sorted(printed[0]["figures"])
    done = command(store.root, "drift", str(decoder_folder), *ASKED, "--name", "tiny", "--out", str(out))
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"tiny on {DATASET}: nothing is missing; 2 of 2 checkpoints already measured"
    assert lines[1].split() == ["layer", "norm_mean", "step", "angle", "step/spread"]
    assert len(lines) == 1 + 5 + 1 + 2
    assert lines[6].startswith("the norm grows by ")
    assert before == {path: path.stat().st_mtime_ns for path in out.iterdir()}


def test_only_what_was_not_asked_before_is_missing(drifted, decoder_folder):
    store, _, printed = drifted
    assert printed[0]["already_measured"] == 0
    for source in find_checkpoints(str(decoder_folder), ["step64"], "tiny"):
        assert missing(store, source.checkpoint, question_of("python-reference", 24, 32, points=12)) == ()
        more = question_of("python-reference", 24, 32, points=13, as_released=True)
        assert missing(store, source.checkpoint, more) == ("corrected", "released")


def test_the_figure_shows_every_plane_and_the_path_by_layer(drifted):
    store, _, _ = drifted
    with reading(store) as connection:
        drawn = figure("drift", connection, ["tiny"], [DATASET])
        with pytest.raises(BadInput, match=r"no rows of lab.layer_drift for model 'big': run `isoscope drift` on it"):
            figure("drift", connection, ["big"])
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    assert titles[0] == "PCA, raw"
    assert sum(title.startswith("UMAP") for title in titles) == 4
    assert "% of the variance" in drawn.axes[0].get_xlabel()
    assert len(drawn.axes[0].collections[0].get_offsets()) == 4 * 12
    assert any(title.startswith("norm; R² of the exponential") for title in titles)


def test_the_database_made_again_from_the_ledger_has_the_same_rows(drifted):
    store, _, _ = drifted
    before = {view: rows(store, f"select * from lab.{view} order by all") for view in VIEWS}
    assert all(before.values())
    rebuild(store.root, 20)
    assert {view: rows(store, f"select * from lab.{view} order by all") for view in VIEWS} == before


def test_the_run_leaves_a_table_and_a_figure_in_prefect(drifted, prefect_server):
    keys = {"key": {"like_": "drift-%tiny-python-reference"}}
    found = httpx.post(f"{prefect_server}/artifacts/filter", json={"artifacts": keys, "limit": 50}).json()
    assert {"table", "image"} <= {artifact["type"] for artifact in found}


def test_a_network_of_one_block_is_refused_in_one_line(prefect_server, tmp_path):
    folder = saved("one-layer", tmp_path / "one")
    done = command(tmp_path / "store", "drift", str(folder), *ASKED[:4], "--out", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("isoscope: one ")
    assert "has 1 block: layers are told apart in a network of two or more" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_too_few_points_are_refused():
    with pytest.raises(BadInput, match="--points needs 10 or more of each layer; got 3"):
        question_of("python-reference", points=3)
