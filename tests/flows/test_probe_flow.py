"""``isoscope probe`` on a trained network: rows, views, an ensemble's members, nothing twice, one-line errors."""

from __future__ import annotations

import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from service.errors import BadInput
from service.experiments.concept_fits import labelled_cloud
from service.networks.concepts import find_concept
from service.networks.datasets import open_dataset
from service.networks.text_sources import python_reference
from service.report.figures import figure
from service.storage import activations, coverage
from service.storage.answers import ask
from service.storage.database import Store, reading
from service.storage.probe_directions import read_directions
from service.storage.rebuilding import rebuild
from service.subjects import Checkpoint

FEW = ("--sample", "600", "--device", "cpu")
FORM = "digits=contains:[0-9]"


@pytest.fixture(scope="module")
def probed(prefect_server, decoder_folder, byte_folder, tmp_path_factory):
    """Two members at two steps, one of which reads bytes, probed by the flow itself."""
    from flows.probe_concepts import probe_concepts

    store = tmp_path_factory.mktemp("probed") / "store"
    given = {"sample": 600, "device": "cpu", "store": store, "seeds": 3, "folds": 3, "ensemble": "pair"}
    outcomes = probe_concepts(
        [str(decoder_folder), str(byte_folder)],
        [FORM, "spaces=regex: +"],
        ["step0", "step64"],
        names=["one", "two"],
        **given,
    )
    return Store(store, 20), outcomes


def rows(store, query, *parameters):
    return ask(store, query, list(parameters)).to_pylist()


def test_every_layer_has_a_row_of_the_concept_and_one_of_the_control(probed):
    store, outcomes = probed
    assert [one.probes for one in outcomes] == [2 * 3 * 2 * 5] * 4  # concepts, seeds, labels, layers
    found = rows(store, "select * from lab.concept_probes where model = 'one' and step = 64 and concept = 'spaces'")
    assert sorted((row["layer"], row["labels"]) for row in found) == [
        (layer, labels) for layer in range(5) for labels in ("real", "shuffled")
    ]
    for row in found:
        assert row["seeds"] == 3
        assert row["accuracy_min"] <= row["accuracy"] <= row["accuracy_max"]
        assert (row["selectivity"] is None) == (row["labels"] == "shuffled")
        assert row["nonzero"] == row["width"] == 32
        assert row["converged"] == 1
        assert 0 < row["share_of_weights_50"] < row["share_of_weights_90"] <= 1
    embedding = next(row for row in found if (row["layer"], row["labels"]) == (0, "real"))
    assert embedding["auroc"] > 0.9  # a token's embedding tells its own text
    assert embedding["selectivity"] > 0.8 * (1 - embedding["chance"])


def test_the_location_is_where_the_rows_say_and_the_ensemble_s_is_the_mean_of_its_members(probed):
    store, _ = probed
    fits = rows(
        store,
        "select * from lab.concept_fits where model = 'one' and step = 64 and concept = 'spaces' and labels = 'real'",
    )
    centroids = []
    for seed in range(3):
        own = {row["layer"]: max(row["selectivity"], 0) for row in fits if row["seed"] == seed}
        centroids.append(sum(layer * share for layer, share in own.items()) / sum(own.values()))
    found = rows(store, "select * from lab.concept_location where concept = 'spaces' and step = 64 order by model")
    one, two, whole = found
    assert [row["model"] for row in found] == ["one", "two", None]
    assert one["centroid"] == pytest.approx(sum(centroids) / 3)
    assert one["centroid_std"] == pytest.approx(torch.tensor(centroids, dtype=torch.float64).std().item())
    assert one["relative_centroid"] == pytest.approx(one["centroid"] / 4)
    accuracies = {layer: sum(row["accuracy"] for row in fits if row["layer"] == layer) / 3 for layer in range(5)}
    assert one["best_accuracy"] == pytest.approx(max(accuracies.values()))
    assert one["best_layer"] == max(accuracies, key=lambda layer: (accuracies[layer], -layer))
    assert whole["centroid"] == pytest.approx((one["centroid"] + two["centroid"]) / 2)
    assert (whole["members"], whole["ensemble"], whole["revision"]) == (2, "pair", None)
    by_layer = (
        "select * from lab.concept_probes where concept = 'spaces' and step = 64 and labels = 'real' and layer = 3"
    )
    one, two, whole = rows(store, f"{by_layer} order by model")
    assert whole["accuracy"] == pytest.approx((one["accuracy"] + two["accuracy"]) / 2)
    assert whole["accuracy_std"] == pytest.approx(abs(one["accuracy"] - two["accuracy"]) / 2**0.5)
    assert (whole["model"], whole["members"], whole["seeds"]) == (None, 2, 3)


AGREEMENT = "select * from lab.concept_agreement where concept = 'spaces' and between = ? order by step, model, layer"


def test_seeds_agree_in_direction_and_two_networks_in_what_they_say_of_the_same_places_alone(probed):
    store, _ = probed
    seeds, members = rows(store, AGREEMENT, "seeds"), rows(store, AGREEMENT, "members")
    assert {(row["model"], row["ensemble"], row["pairs"]) for row in seeds} == {("one", None, 3), ("two", None, 3)}
    assert all(0.3 < row["cosine"] < 1 for row in seeds)
    assert {(row["model"], row["ensemble"], row["pairs"]) for row in members} == {(None, "pair", 3)}
    assert [(row["step"], row["layer"]) for row in members] == [(step, layer) for step in (0, 64) for layer in range(5)]
    assert members[0]["chance_cosine"] == pytest.approx(32**-0.5)
    assert max(abs(row["cosine"]) for row in members) < 0.7
    assert (
        0.1
        < min(row["margin_correlation"] for row in members)
        < max(row["margin_correlation"] for row in members)
        < 0.99
    )
    assert all(0 < row["places"] < 200 for row in members)  # of 600 places those that both have, and hold out: a third


def test_checkpoints_of_a_model_are_compared_and_its_directions_remember_where_they_began(probed):
    store, _ = probed
    found = rows(store, AGREEMENT, "steps")
    about = {(row["model"], row["ensemble"], row["step"], row["other_step"], row["pairs"]) for row in found}
    assert about == {("one", None, 0, 64, 3), ("two", None, 0, 64, 3)}
    assert len(found) == 2 * 5
    assert all(row["cosine"] > 2 * row["chance_cosine"] for row in found if row["layer"] == 0)


def test_two_concepts_of_a_network_are_compared_in_the_space_that_they_share(probed):
    store, _ = probed
    found = rows(
        store, "select * from lab.concept_agreement where between = 'concepts' and model = 'one' and step = 64"
    )
    assert {frozenset((row["concept"], row["other_concept"])) for row in found} == {frozenset(("digits", "spaces"))}
    assert sorted(row["layer"] for row in found) == list(range(5))
    checkpoint, items = Checkpoint("one", 64, found[0]["revision"]), open_dataset("python-reference", sample=600)
    first, second = (
        read_directions(store, checkpoint, find_concept(form, items).concept, folds=3)
        for form in (FORM, "spaces=regex: +")
    )
    cosines = [
        torch.nn.functional.cosine_similarity(first[2][seed].weights, second[2][seed].weights, dim=0)
        for seed in range(3)
    ]
    (row,) = (row for row in found if row["layer"] == 2)
    assert row["cosine"] == pytest.approx(float(sum(cosines)) / 3, abs=1e-5)


def test_directions_give_the_margins_of_the_rows_without_a_fit(probed):
    store, _ = probed
    row = rows(store, "select revision, dataset from lab.concept_probes where model = 'one' and step = 64")[0]
    checkpoint, items = Checkpoint("one", 64, row["revision"]), open_dataset("python-reference", sample=600)
    concept = find_concept(FORM, items)
    directions = read_directions(store, checkpoint, concept.concept, folds=3)
    assert {layer: [one.seed for one in found] for layer, found in directions.items()} == {
        n: [0, 1, 2] for n in range(5)
    }
    site = coverage.recorded_sites(store, checkpoint.checkpoint_id, row["dataset"])[2]
    cloud, _ = labelled_cloud(activations.read_summary(store, site), concept, "all", items.documents())
    for one in directions[2]:
        held = cloud.held_out(one.seed, 3)
        right = ((cloud.states @ one.weights + one.bias > 0) == cloud.labels)[held].double().mean().item()
        recorded = rows(
            store, "select accuracy from lab.concept_fits where model = 'one' and step = 64 and concept = 'digits' and "
            "layer = 2 and seed = ? and labels = 'real'", one.seed,
        )  # fmt: skip
        assert recorded == [{"accuracy": pytest.approx(right)}]


def test_what_is_recorded_is_not_fitted_again_and_only_what_is_new_is(probed, isoscope, decoder_folder):
    store, _ = probed
    asked = (
        "probe",
        str(decoder_folder),
        "--name",
        "one",
        "--revision",
        "step64",
        "--concept",
        FORM,
        "--folds",
        "3",
        *FEW,
    )
    before = sorted(path.name for path in (store.root / "ledger").iterdir())
    started = time.perf_counter()
    done = isoscope(*asked, "--ensemble", "pair", "--seeds", "2", store=store.root)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - started < 5
    assert done.stdout.startswith("pair: digits on python-reference[sample=600]: nothing is missing\n")
    assert "digits in one step64: best at layer " in done.stdout
    assert sorted(path.name for path in (store.root / "ledger").iterdir()) == before
    alone = isoscope(
        *asked, "--seeds", "3", "--json", store=store.root
    )  # a member alone: its own ensemble, no new probe
    assert alone.returncode == 0, alone.stderr
    found = json.loads(alone.stdout)
    assert (found["ensemble"], found["done"], len(found["probes"]), len(found["location"])) == ("one", 1, 10, 1)
    rebuild(store.root, 20)
    assert rows(store, "select distinct ensemble from lab.concept_probes order by 1") == [
        {"ensemble": "one"},
        {"ensemble": "pair"},
    ]


def test_the_command_goes_along_the_l1_path_at_the_layers_asked(probed, isoscope, decoder_folder):
    store, _ = probed
    done = isoscope(
        "probe", str(decoder_folder), "--name", "one", "--revision", "step64", "--concept", "spaces=regex: +", *FEW,
        "--penalty", "both", "--seeds", "1", "--layers", "0,3", "--folds", "3", store=store.root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "24 probes fitted" in done.stdout  # 2 layers, 6 strengths, 2 kinds of labels
    found = rows(
        store,
        "select * from lab.concept_probes where penalty = 'l1' and labels = 'real' and "
        "ensemble = 'one' order by layer, strength",
    )
    assert [row["layer"] for row in found] == [0] * 6 + [3] * 6
    assert found[0]["nonzero"] > found[5]["nonzero"]
    assert isoscope("check", store=store.root).stdout == "rows and files agree\n"


def test_the_figure_has_a_panel_a_concept_with_the_first_and_the_last_checkpoint_of_each_member(
    probed, isoscope, tmp_path
):
    store, _ = probed
    with reading(store) as connection:
        drawn = figure("concept", connection, ["one"])
        with pytest.raises(BadInput, match=r"^there is no concept to draw for 'nobody': run `isoscope probe` first$"):
            figure("concept", connection, ["nobody"])
    assert [axes.get_title(loc="left").split("\n")[0] for axes in drawn.axes] == ["digits", "spaces"]
    labels = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert labels == ["one, step 0", "one, step 64"]
    (row,) = rows(store, "select min(chance) as least from lab.concept_probes where concept = 'digits' and step = 64")
    assert any(line.get_ydata()[0] == pytest.approx(row["least"]) for line in drawn.axes[0].lines)
    done = isoscope("plot", "concept", "--out", str(tmp_path), store=store.root)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"concept.png", "concept.svg"}


def test_labels_of_a_column_are_those_of_the_windows_documents(isoscope, decoder_folder, tmp_path):
    texts = python_reference().texts[:40]
    table = pa.table(
        {"text": texts, "label": [number % 4 for number in range(40)], "long": [len(t) > 3000 for t in texts]}
    )
    pq.write_table(table, tmp_path / "topics.parquet")
    asked = ("probe", str(decoder_folder), "--revision", "step16", "--dataset", str(tmp_path / "topics.parquet"), *FEW)
    done = isoscope(*asked, "--concept", "column:long", "--concept", "few=classes:1,2", "--tokens", "last", "--texts", "100",
                    "--seeds", "2", "--folds", "4", "--json", store=tmp_path / "store")  # fmt: skip
    assert done.returncode == 0, done.stderr
    probes = json.loads(done.stdout)["probes"]
    assert {row["concept"] for row in probes} == {"column:long", "few"}
    assert {row["n_train"] + row["n_test"] for row in probes} == {100}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--concept", "colum:x"), "unknown form of a concept 'colum': did you mean 'column:'?"),
        ((), "a probe needs a concept: give --concept NAME=FORM"),
        (("--concept", "column:x"), "python-reference[sample=600] has no columns: a Parquet or JSON-lines file"),
        (("--concept", "x=contains:."), "concept 'x' has one class only: all "),
        (("--concept", "x=contains:__init_subclass__", "--folds", "300"), "concept 'x' has "),
        (("--concept", FORM, "--layers", "2,9"), "layer 9 is not there: one has layers 0 to 4"),
        (("--concept", FORM, "--name", "b"), "--name is given once for each model; got 2 for 1 models"),
        (("--concept", FORM, "--dataset", "random-tokens"), "contains: is a concept of texts, and random-tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_probed_is_one_line(probed, isoscope, decoder_folder, arguments, said):
    store, _ = probed
    done = isoscope(
        "probe", str(decoder_folder), "--name", "one", "--revision", "step64", *FEW, *arguments, store=store.root
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"isoscope: {said}")
