"""``isoscope stitch`` on two checkpoints of a trained network: rows, curves, both ways, nothing twice, one-line errors."""

from __future__ import annotations

import json

import httpx
import pytest

from service.errors import BadInput
from service.experiments.comparison_plan import asked_pairs
from service.experiments.progress import Progress, listening
from service.experiments.stitch_networks import Seam, Stitcher, Wanted
from service.networks.datasets import open_dataset
from service.storage.answers import ask
from service.storage.database import Store
from service.storage.rebuilding import rebuild
from service.storage.stitch_rows import KnownMap

REVISIONS = ("--revision", "step16", "--revision-a", "step64")


@pytest.fixture(scope="module")
def stitched(prefect_server, decoder_folder, tmp_path_factory):
    from flows.stitch_networks import stitch_networks

    store = tmp_path_factory.mktemp("stitched") / "store"
    outcomes = stitch_networks(
        str(decoder_folder), str(decoder_folder), "2:2,1:3", ["step64"], ["step16"], steps=2,
        maps=["affine", "identity"], store=store, device="cpu",
    )  # fmt: skip
    return Store(store, 20), outcomes


def test_each_pair_of_layers_is_a_run_with_its_maps_and_curves(stitched):
    store, outcomes = stitched
    assert [len(one.results) for one in outcomes] == [2, 2, 2, 2]
    rows = ask(store, "select * from lab.stitching order by step_a, layer_a, map").to_pylist()
    found = {(row["step_a"], row["layer_a"], row["step_b"], row["layer_b"], row["bottom"]) for row in rows}
    ways = {(64, 2, 16, 2), (64, 1, 16, 3), (16, 2, 64, 2), (16, 3, 64, 1)}
    assert found == {(*way, "first") for way in ways}
    assert len({row["run_id"] for row in rows}) == 4
    for row in rows:
        assert row["penalty"] == pytest.approx(row["loss"] - row["loss_of_b"])
        assert row["converged"] is (False if row["map"] == "affine" else None)
    curve = ask(store, "select texts, step from lab.stitching_curves where step_a = 64 and layer_a = 2 order by all")
    assert [tuple(row.values()) for row in curve.to_pylist()] == [
        ("held-out", 0), ("held-out", 1), ("held-out", 2), ("training", 0), ("training", 1),
    ]  # fmt: skip
    rebuild(store.root, 20)
    assert ask(store, "select * from lab.stitching order by step_a, layer_a, map").to_pylist() == rows


def test_what_is_lacking_is_known_without_a_network(stitched, decoder_folder):
    store, _ = stitched
    pair = asked_pairs(str(decoder_folder), str(decoder_folder), ["step64"], ["step16"])[0]
    items = open_dataset("python-reference")

    def lacking(maps, steps, layers=(2, 2)):
        return Stitcher(store, items, Wanted(maps, steps), None).lacks(Seam(pair, layers))

    assert lacking(("affine", "identity"), 2) == []
    assert lacking(("affine", "identity", "least-squares"), 3) == ["affine", "least-squares"]
    assert lacking(("identity",), 2, (3, 3)) == ["identity"]
    wanted = Wanted(("affine", "orthogonal"), 300)
    known = {KnownMap("affine", 120, True), KnownMap("orthogonal", 120, False)}
    assert wanted.lacking(known) == ["orthogonal"]


def test_the_command_does_nothing_twice(stitched, isoscope, decoder_folder):
    store, _ = stitched
    asked = ("stitch", str(decoder_folder), str(decoder_folder), *REVISIONS, "--steps", "2", "--layers", "2:2")
    done = isoscope(*asked, "--map", "affine", "--map", "identity", "--json", store=store.root)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["stitched"], [row["map"] for row in found["rows"]]) == (0, 2 * ["affine", "identity"])
    one_way = isoscope(*asked, "--map", "identity", "--one-way", "--json", store=store.root)
    assert [row["step_a"] for row in json.loads(one_way.stdout)["rows"]] == [64, 64]


def test_what_cannot_be_asked_is_one_line(stitched, isoscope, decoder_folder):
    store, _ = stitched
    done = isoscope("stitch", str(decoder_folder), str(decoder_folder), "--layers", "2", store=store.root)
    assert done.returncode == 1
    assert done.stderr == "isoscope: --layers needs pairs of layers such as 3:3,4:5; got '2'\n"


def test_what_could_be_stitched_is_shown_also_where_something_could_not(prefect_server, decoder_folder, tmp_path):
    from flows.stitch_networks import stitch_networks

    told: list[Progress] = []
    folder = str(decoder_folder)
    named = {"name_first": "half-done", "name_second": "half-done"}
    with listening(told.append), pytest.raises(BadInput, match="1 of 2 pairs of layers could not be stitched"):
        stitch_networks(
            folder, folder, "2:2,9:9", ["step64"], ["step64"], maps=["identity"], store=tmp_path, device="cpu", **named
        )
    keys = {"key": {"like_": "stitching-half-done"}}
    found = httpx.post(f"{prefect_server}/artifacts/filter", json={"artifacts": keys}).json()
    assert {artifact["type"] for artifact in found} == {"table", "image"}
    assert [len(json.loads(artifact["data"])) for artifact in found if artifact["type"] == "table"] == [1]
    assert [(step.done, step.total) for step in told if step.stage == "checkpoints"] == [(0, 2), (1, 2), (2, 2)]
