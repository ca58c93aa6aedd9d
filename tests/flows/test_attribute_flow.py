"""``isoscope attribute`` on planted truth: the items that carry a concept are found, and the concept goes with them."""

from __future__ import annotations

import pytest
from sklearn.metrics import roc_auc_score

from service.storage.answers import ask
from service.storage.attribution_scores import read_scores
from service.storage.database import Store
from tests.flows.planted_images import train_on, write_images

FEW = ("--seeds", "2", "--folds", "4", "--device", "cpu", "--concept", "differ=column:differ")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder with images of which 5 % carry the concept, others of which all do, marked targets, and networks trained on
    both."""
    folder = tmp_path_factory.mktemp("planted")
    write_images(folder / "some.parquet", 1400, 0.05, 0)
    write_images(folder / "all.parquet", 1400, 1.0, 0)
    write_images(folder / "targets.parquet", 200, 1.0, 1)
    for name in ("some", "all"):
        train_on(folder / f"{name}.parquet", folder / name)
    return folder


@pytest.fixture(scope="module")
def removed(prefect_server, planted):
    """What becomes of the concept without the items that it is owed to: `some` with a control and judgements, `all` without."""
    from flows.attribute_concepts import attribute_concepts

    store = planted / "store"
    alike = {
        "concept": "differ=column:differ", "targets": str(planted / "targets.parquet:pooled"), "remove": "top:5%",
        "seeds": 2, "folds": 4, "networks": str(planted / "networks"), "store": str(store), "device": "cpu",
    }  # fmt: skip
    methods = ["trak", "trak-released", "gradient-cosine", "representation", "random"]
    attribute_concepts(
        [str(planted / "some")], dataset=str(planted / "some.parquet"), ensemble="some", members=2, controls=["random"],
        methods=methods, mislabel=0.1, **alike,
    )  # fmt: skip
    attribute_concepts(
        [str(planted / "all")], dataset=str(planted / "all.parquet"), ensemble="all", members=1, controls=[],
        methods=["trak"], **alike,
    )  # fmt: skip
    return Store(store, 20)


def rows(store, query, *parameters):
    return ask(store, query, list(parameters)).to_pylist()


def test_the_marked_items_are_ranked_first(removed):
    found = rows(removed, "select distinct path, method from lab.attributions where ensemble = 'some'")
    paths = {row["method"]: row["path"] for row in found}
    digests = {row["path"]: row["digest"] for row in rows(removed, "select path, digest from main.attribution_runs")}
    auroc = {}
    for method in ("trak", "random"):
        scores = read_scores(removed, paths[method], digests[paths[method]])
        assert scores.values.shape == (200, 1400)
        auroc[method] = roc_auc_score(scores.train_items < 70, scores.magnitude)
    assert auroc["trak"] > 0.9
    assert 0.3 < auroc["random"] < 0.7


def test_the_concept_goes_with_the_items_that_carry_it_and_not_with_as_many_others(removed):
    query = "select removal, accuracy, removed, networks from lab.concept_counterfactuals where ensemble = ? and layer is null"
    some = {row["removal"]: row for row in rows(removed, query, "some")}
    assert {one["removed"] for one in some.values()} == {0, 70}
    assert {one["networks"] for one in some.values()} == {2}
    assert some["none"]["accuracy"] > 0.9
    assert some["random"]["accuracy"] > 0.8
    assert some["top"]["accuracy"] < 0.75


def test_a_concept_that_all_items_carry_stays(removed):
    query = "select removal, accuracy from lab.concept_counterfactuals where ensemble = 'all' and layer is null"
    accuracy = {row["removal"]: row["accuracy"] for row in rows(removed, query)}
    assert accuracy["none"] > 0.95
    assert accuracy["top"] > 0.95
