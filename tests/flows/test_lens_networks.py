"""Commands on networks in TransformerLens's format: measured, and their activation functions stitched to each other."""

from __future__ import annotations

import json

import pytest
from lens_networks import random_weights, saved_lens

from service.storage.answers import ask
from service.storage.database import Store


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """One of each activation function, and a text."""
    root = tmp_path_factory.mktemp("lens")
    (root / "text.txt").write_text("\n".join(f"the cat number {number} sat on the mat" for number in range(400)))
    made = [saved_lens(root / act_fn, act_fn, random_weights(act_fn)) for act_fn in ("gelu", "solu_ln")]
    return [str(folder) for folder in made], str(root / "text.txt")


def test_their_layers_are_measured(networks, isoscope, tmp_path):
    (folder, _), text = networks
    asked = ("shape", folder, "--dataset", text, "--sample", "256", "--measure", "anisotropy")
    done = isoscope(*asked, store=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    rows = ask(
        Store(tmp_path / "store", 20), "select model, layer, anisotropy from lab.anisotropy_by_layer order by all"
    )
    assert {(row["model"], row["layer"]) for row in rows.to_pylist()} == {("gelu", layer) for layer in range(4)}
    assert all(0 < row["anisotropy"] <= 1 for row in rows.to_pylist())


def test_their_activation_functions_are_stitched_both_ways(networks, isoscope, tmp_path):
    folders, text = networks
    asked = ("study", "activations", *folders, "--layers", "1", "--steps", "2", "--dataset", text, "--json")
    done = isoscope(*asked, store=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    penalties, across = json.loads(done.stdout).values()
    assert {(row["bottom"], row["top"]) for row in penalties} == {("gelu", "solu"), ("solu", "gelu")}
    assert [(row["activation_a"], row["activation_b"], row["pairs"]) for row in across] == [("gelu", "solu", 1)]
