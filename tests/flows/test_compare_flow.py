"""``isoscope compare`` on a network of bytes, one of subwords and an encoder: rows, tables, figure, and what is refused."""

from __future__ import annotations

import json

import httpx
import pytest

from service.report.figures import figure
from service.storage.answers import ask
from service.storage.database import Store, reading

FEW = ("--sample", "512", "--measure", "linear_cka_debiased", "--measure", "procrustes", "--permutations", "5")


@pytest.fixture(scope="module")
def compared(prefect_server, decoder_folder, byte_folder, tmp_path_factory):
    """A store that the flow has filled, and what the flow said."""
    from flows.compare_networks import compare_networks

    store = tmp_path_factory.mktemp("compared") / "store"
    measures = ["linear_cka_debiased", "procrustes"]
    outcomes = compare_networks(
        str(decoder_folder), str(byte_folder), measures=measures, permutations=5, sample=512, store=store
    )
    return Store(store, 20), outcomes


def test_the_flow_fills_the_views_and_leaves_its_table_and_figure(compared, prefect_server):
    store, outcomes = compared
    assert [one.rows for one in outcomes] == [5 * 5 * 2 * 2]
    nearest = ask(store, "select layer_a, layer_b, monotone from lab.nearest_layer where positions = 'all'").to_pylist()
    assert sorted({row["layer_a"] for row in nearest}) == [0, 1, 2, 3, 4]
    keys = {"key": {"like_": "similarity"}}
    found = httpx.post(f"{prefect_server}/artifacts/filter", json={"artifacts": keys, "limit": 50}).json()
    assert {"table", "image"} <= {artifact["type"] for artifact in found}


def test_the_command_again_does_nothing_and_prints_tables_or_json(compared, isoscope, decoder_folder, byte_folder):
    store, _ = compared
    before = len(list((store.root / "ledger").iterdir()))
    done = isoscope("compare", str(decoder_folder), str(byte_folder), *FEW, store=store.root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "tiny-decoder step64 and tiny-bytes step64 on python-reference[sample=512]: nothing is missing\n"
    )
    assert "nearest layer by procrustes" in done.stdout
    found = json.loads(
        isoscope("compare", str(decoder_folder), str(byte_folder), *FEW, "--json", store=store.root).stdout
    )
    assert len(found["rows_of"]) == 5 * 5 * 2 * 2
    assert (found["already_compared"], found["warnings"]) == (1, [])
    assert len(list((store.root / "ledger").iterdir())) == before


def test_an_encoder_is_compared_with_a_decoder_of_another_tokenizer(compared, isoscope, encoder_folder, byte_folder):
    store, _ = compared
    done = isoscope("compare", str(encoder_folder), str(byte_folder), *FEW, store=store.root)
    assert done.returncode == 0, done.stderr
    rows = ask(store, "select distinct model_a, model_b from lab.pair_metrics order by all").to_pylist()
    assert rows[-1] == {"model_a": "tiny-encoder", "model_b": "tiny-bytes"}


def test_the_figure_has_a_map_of_each_measure_with_and_without_chance(compared, isoscope, tmp_path):
    store, _ = compared
    with reading(store) as connection:
        drawn = figure("similarity", connection, ["tiny-decoder", "tiny-bytes"])
    titles = [axes.get_title(loc="left") for part in drawn.subfigs for axes in part.axes if axes.images]
    assert titles == [
        "linear_cka_debiased", "linear_cka_debiased, less chance", "procrustes", "procrustes, less chance",
    ]  # fmt: skip
    done = isoscope("plot", "similarity", "--model", "nothing", "--out", str(tmp_path / "out"), store=store.root)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is no similarity to draw for 'nothing': run `isoscope compare` first" in done.stderr


def test_models_of_a_figure_are_named_by_name_or_by_folder_with_or_without_an_option(
    compared, isoscope, decoder_folder, byte_folder, tmp_path
):
    store, _ = compared
    for named in (
        (str(decoder_folder / "step64"), f"{byte_folder}/"),
        ("tiny-decoder", "--model", str(byte_folder)),
    ):
        done = isoscope("plot", "similarity", *named, "--out", str(tmp_path), store=store.root)
        assert done.returncode == 0, done.stderr
    done = isoscope("plot", "similarity", str(decoder_folder), "python:nets:tiny:a,b", store=store.root)
    assert "no similarity to draw for 'tiny-decoder', 'nets:tiny': run" in done.stderr


def test_one_revision_is_of_both_networks_unless_one_of_them_has_its_own(
    compared, isoscope, decoder_folder, byte_folder
):
    store, _ = compared
    given = ("--revision", "step3", "--revision-a", "step64", "--revision-b", "step64")
    done = isoscope("compare", str(decoder_folder), str(byte_folder), *FEW, *given, store=store.root)
    assert ": nothing is missing\n" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--revision", "step3"), "isoscope: unknown revision 'step3'"),
        (("--measure", "cka"), "isoscope: unknown measure of pairs 'cka': "),
        (("--revision-a", "step3"), "isoscope: "),
    ],
)
def test_what_cannot_be_asked_is_one_line(compared, isoscope, decoder_folder, byte_folder, arguments, said):
    store, _ = compared
    done = isoscope("compare", str(decoder_folder), str(byte_folder), *arguments, store=store.root)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in done.stderr
