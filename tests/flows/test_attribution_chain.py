"""``isoscope attribute`` from a trained network to its verdicts: every output, ensembles of checkpoints, both procedures, what
judges them, and what is done again when something of it is lost."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from service.networks.text_sources import python_reference
from service.networks.training_sets import training_set_of
from service.storage.answers import ask
from service.storage.database import Store

FEW = ("--seeds", "1", "--folds", "3", "--device", "cpu", "--target-items", "40")
TRAIN, TARGETS = 320, 90
EVEN = ("--concept", "even=classes:0,2,4,6,8")


def write_digits(place: Path, numbers: range) -> Path:
    """Some of scikit-learn's digits as a Parquet file of images with their classes."""
    digits, rows = load_digits(), []
    for number in numbers:
        body = io.BytesIO()
        Image.fromarray((digits.images[number] * 15.9).astype(np.uint8)).save(body, "PNG")
        rows.append({"image": body.getvalue(), "label": int(digits.target[number])})
    pq.write_table(pa.Table.from_pylist(rows), place)
    return place


@pytest.fixture(scope="module")
def chain(isoscope, tmp_path_factory):
    """A small network of some digits, with two checkpoints, and commands on it in one folder."""
    folder = tmp_path_factory.mktemp("chain")
    vit, networks, store = folder / "vit", folder / "networks", folder / "store"
    train = write_digits(folder / "train.parquet", range(TRAIN))
    targets = write_digits(folder / "targets.parquet", range(TRAIN, TRAIN + TARGETS))
    sizes = ("--width", "16", "--layers", "2", "--steps", "60", "--save", "30,60")
    made = isoscope("train", str(train), str(vit), *sizes, store=store)
    assert made.returncode == 0, made.stderr

    def attribute(*asked):
        done = isoscope("attribute", *asked, "--networks", str(networks), "--json", store=store)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    items = ("--dataset", str(train), "--targets", f"{targets}:pooled", *FEW)
    return SimpleNamespace(vit=vit, networks=networks, store=store, items=items, attribute=attribute, run=isoscope)


def judged_again(chain):
    """Two members, a removal with its control, three halves, and the published procedure beside."""
    asked = (
        "--retrain",
        "--members",
        "2",
        "--remove",
        "top:5%",
        "--controls",
        "random",
        "--halves",
        "3",
        "--as-released",
    )
    methods = ("--method", "trak", "--method", "random", "--layer", "1")
    return chain.attribute(f"{chain.vit}/step60", *chain.items, *EVEN, *asked, *methods)


@pytest.fixture(scope="module")
def answered(chain):
    """The whole chain on it, once."""
    return judged_again(chain)


def rows(store, query, *parameters):
    return ask(Store(store, 20), query, list(parameters)).to_pylist()


def rounded(found):
    """Rows without the last digits: averages add up in any order."""
    return [{name: round(v, 9) if isinstance(v, float) else v for name, v in row.items()} for row in found]


def when_trained(networks):
    """The time of every retrained network's weights, by name."""
    return {place.parent.parent.name: place.stat().st_mtime_ns for place in networks.glob("*/step60/model.safetensors")}


def test_networks_on_halves_judge_every_method(chain, answered):
    query = "select * from lab.attribution_quality where quality = 'linear-datamodeling-score'"
    found = {row["method"]: row for row in rows(chain.store, query)}
    assert set(found) == {"trak", "trak-released", "random"}
    for row in found.values():
        assert -1 <= row["low"] <= row["value"] <= row["high"] <= 1
        assert (row["n"], row["judged_by"]) == (3, "3 networks on halves")
        assert row["note"].startswith("over 3 networks trained on halves, mean over 40 targets")
    halves = list(chain.networks.glob("*-half-*/step60"))
    assert sorted(training_set_of(place).count for place in halves) == [TRAIN // 2] * 3


def test_the_published_procedure_takes_other_items_away_beside_the_corrected_one(chain, answered):
    query = (
        "select method, removal, removed, networks from lab.concept_counterfactuals where layer is null order by all"
    )
    found = [tuple(row.values()) for row in rows(chain.store, query)]
    kinds = [("none", 0, 2), ("random", 16, 2), ("top", 16, 2)]
    assert found == [(method, *kind) for method in ("trak", "trak-released, signed") for kind in kinds]
    names = sorted(place.name for place in chain.networks.glob("*-top-*"))
    assert len(names) == 4  # two rankings, two seeds
    assert len({name.rpartition("-")[2] for name in names}) == 2
    # what is taken away at random hangs on the seed alone, and is trained once for both
    assert len(list(chain.networks.glob("*-random-*"))) == 2
    published = rows(
        chain.store, "select distinct dimensions, ridge from lab.attributions where method = 'trak-released'"
    )
    assert [row["ridge"] for row in published] == [0]


def test_a_lost_network_alone_is_trained_again(chain, answered):
    before = when_trained(chain.networks)
    assert len(before) == 11  # two members, four without the top, two without others, three halves
    lost = next(name for name in sorted(before) if "-top-" in name)
    shutil.rmtree(chain.networks / lost)
    again = judged_again(chain)
    after = when_trained(chain.networks)
    assert {name for name in after if after[name] != before.get(name)} == {lost}
    assert set(after) == set(before)
    assert rounded(again["counterfactuals"]) == rounded(answered["counterfactuals"])


def test_another_ranking_trains_other_networks(chain, answered):
    before = set(when_trained(chain.networks))
    asked = (
        "--retrain",
        "--members",
        "1",
        "--remove",
        "top:5%",
        "--controls",
        "",
        "--method",
        "random",
        "--layer",
        "1",
    )
    chain.attribute(f"{chain.vit}/step60", *chain.items, *EVEN, *asked)
    new = set(when_trained(chain.networks)) - before
    assert len(new) == 1, new
    assert "-top-16-seed-0-" in new.pop()


def test_checkpoints_of_one_training_are_an_ensemble(chain):
    steps = ("--revision", "step*", "--ensemble", "steps")
    found = chain.attribute(str(chain.vit), *chain.items, *EVEN, *steps, "--method", "trak")
    assert {row["members"] for row in found["attributions"]} == {2}
    members = (
        "select count(distinct step) as steps from lab.concept_probes where ensemble = 'steps' and step is not null"
    )
    assert rows(chain.store, members) == [{"steps": 2}]


def test_a_classifier_s_own_answer_is_put_down_to_the_items_of_its_class(chain):
    methods = ("--method", "gradient-cosine", "--method", "trak")
    found = chain.attribute(f"{chain.vit}/step60", *chain.items, "--output", "class", *methods)
    rows_of = [row for row in found["attributions"] if row["method"] == "gradient-cosine" and row["side"] == "most"]
    assert {(row["output"], row["concept"]) for row in rows_of} == {("class", None)}
    pairs = [(row["train_item"], row["target_item"]) for row in rows_of if row["target_item"] is not None]
    known = load_digits().target
    same = [known[item] == known[TRAIN + target] for item, target in pairs]
    assert len(same) >= 40
    assert sum(same) / len(same) > 0.5  # chance is a tenth


def test_a_decoder_s_next_tokens_are_put_down_to_texts_and_best_to_themselves(chain, tmp_path):
    guide = tmp_path / "guide.txt"
    guide.write_text("\n".join(python_reference().texts)[:30_000])
    sizes = ("--width", "16", "--layers", "1", "--steps", "20", "--batch", "8")
    made = chain.run("train", str(guide), str(tmp_path / "tiny"), *sizes, store=chain.store)
    assert made.returncode == 0, made.stderr
    asked = ("--dataset", str(guide), "--targets", str(guide), "--output", "next-token", "--method", "gradient-cosine")
    found = chain.attribute(str(tmp_path / "tiny"), *asked, *FEW)
    best = [row for row in found["attributions"] if row["target_item"] is not None and row["side"] == "most"]
    own = [row for row in best if row["rank"] == 1]
    assert own
    assert all(row["train_item"] == row["target_item"] for row in own)  # a gradient is closest to itself
    assert {row["output"] for row in found["attributions"]} == {"next-token"}


def test_networks_of_one_s_own_module_are_attributed_as_others_are(chain):
    network = ("python:convnets:convnet", *chain.items)
    found = chain.attribute(*network, *EVEN, "--layer", "2", "--method", "trak", "--ensemble", "own")
    assert {row["ensemble"] for row in found["attributions"]} == {"own"}
    assert {row["members"] for row in found["attributions"]} == {1}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("python:convnets:stages", *EVEN, "--layer", "0"), "layer 0 has no parameters below it"),
        (
            ("python:convnets:convnet", *EVEN, "--layer", "1", "--ridge", "0", "--dimensions", "99"),
            "than the 60 parameters",
        ),
        (("python:convnets:convnet", "--output", "next-token"), "gives no 'next-token': give --output probe or class"),
        (("python:convnets:convnet", *EVEN, "--retrain"), "does not say what it was trained on"),
    ],
)
def test_what_a_network_cannot_give_is_refused_before_anything_is_made(chain, tmp_path, asked, said):
    done = chain.run(
        "attribute", *asked, *chain.items, "--networks", str(tmp_path / "networks"), store=tmp_path / "store"
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "networks").exists()
