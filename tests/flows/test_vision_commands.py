"""A vision transformer and a module of Python from the command line: the same commands, summaries, measures and views."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "networks"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One store for all of them."""
    return tmp_path_factory.mktemp("vision") / "store"


@pytest.fixture
def asked(isoscope, store, monkeypatch):
    """A command that succeeds, in the folder of convnets.py, and what it answers."""
    monkeypatch.chdir(HERE)

    def ask(*arguments):
        done = isoscope(*arguments, store=store)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return ask


def rows(asked, query):
    """The answer of a query."""
    return json.loads(asked("sql", query, "--format", "json"))


def test_shape_measures_every_layer_of_a_vision_transformer(asked, vision_folder):
    given = ("shape", str(vision_folder), "--revision", "step200", "--dataset", "digits", "--sample", "512")
    measures = ("--measure", "anisotropy", "--measure", "twonn", "--measure", "linearity")
    asked(*given, *measures)
    found = rows(
        asked,
        "select layer, anisotropy, n_used from lab.anisotropy_by_layer where dataset = 'digits[sample=512]' order by 1",
    )
    assert [row["layer"] for row in found] == [0, 1, 2, 3, 4]
    assert all(0 < row["anisotropy"] < 1 for row in found)
    names = rows(asked, "select layer_name, tokens_seen, points from lab.activations order by layer")
    assert [row["layer_name"] for row in names][1:] == ["vit.layers.0", "vit.layers.1", "vit.layers.2", "vit"]
    assert {(row["tokens_seen"], row["points"]) for row in names} == {(1797 * 17, 512)}
    assert rows(asked, "select kind, family from lab.models") == [{"kind": "vision", "family": "vit"}]
    assert rows(asked, "select modality from lab.datasets") == [{"modality": "image"}]
    assert rows(asked, "select loss from lab.loss_by_checkpoint") == []
    assert "already measured" in asked(*given, *measures)


def test_a_module_of_python_is_compared_with_it(asked, vision_folder):
    convnet, options = (
        "python:convnets:convnet:first,second",
        ("--permutations", "2", "--measure", "linear_cka_debiased"),
    )
    vit = (str(vision_folder), convnet, "--revision-a", "step200")
    asked("compare", *vit, "--dataset", "digits:test:pooled", *options)
    asked("compare", *vit, "--dataset", "digits:test", "--sample", "512", *options)
    query = (
        "select model_a, layer_a, layer_b, value, pairs from lab.pair_metrics where dataset = '{}' and positions = 'all' "
        "and model_b = 'convnets:convnet'"
    )
    for dataset, fewest in (("digits:test[pooled]", 360), ("digits:test[sample=512]", 300)):
        found = rows(asked, query.format(dataset))
        assert {(row["layer_a"], row["layer_b"]) for row in found} == {(a, b) for a in range(5) for b in range(3)}
        assert all(row["pairs"] >= fewest for row in found)
        assert {row["model_a"] for row in found} == {"tiny-vision"}


def test_layers_are_told_apart(asked, vision_folder):
    given = (str(vision_folder), "--revision", "step200", "--dataset", "digits:test:pooled")
    asked("separate", *given, "--seeds", "2")
    [found] = rows(asked, "select accuracy from lab.layer_separability where layer is null")
    assert found["accuracy"] > 0.5


def test_a_concept_of_images_is_probed_in_a_module_of_python_and_a_vision_transformer_as_one_ensemble(
    asked, vision_folder
):
    networks = ("python:convnets:convnet:first,second", str(vision_folder))
    given = ("--dataset", "digits:test:pooled", "--concept", "loop=classes:0,6,8,9", "--seeds", "1", "--device", "cpu")
    found = json.loads(asked("probe", *networks, "--ensemble", "both", *given, "--json"))
    assert found["dataset"] == "digits:test[pooled]"
    real = {(row["model"], row["step"], row["layer"]): row for row in found["probes"] if row["labels"] == "real"}
    layers = {("convnets:convnet", None): 3, ("tiny-vision", 0): 5, ("tiny-vision", 200): 5}
    assert set(real) == {(*who, layer) for who, count in layers.items() for layer in range(count)}
    assert {row["n_train"] + row["n_test"] for row in real.values()} == {360}
    before, after = (max(row["auroc"] for at, row in real.items() if at[1] == step) for step in (0, 200))
    assert after > before > 0.7
    assert {(row["model"], row["step"]) for row in found["location"]} == set(layers)
    assert {row["between"] for row in found["agreement"]} == {"steps"}  # no two members at one step, no two seeds


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shape", "VIT", "--dataset", "python-reference"), "reads images, and python-reference is a dataset of texts"),
        (("shape", "python:convnets:convnet:frist", "--dataset", "digits"), "did you mean 'first'?"),
        (("shape", "python:convnets:nothing", "--dataset", "digits"), "unknown function of convnets 'nothing'"),
        (("drift", "python:convnets:convnet", "--dataset", "digits:test:pooled"), "have states of widths 1, 6, 12: "),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(isoscope, store, monkeypatch, vision_folder, arguments, said):
    monkeypatch.chdir(HERE)
    given = (str(vision_folder / "step200") if argument == "VIT" else argument for argument in arguments)
    done = isoscope(*given, store=store)
    assert done.returncode == 1
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
