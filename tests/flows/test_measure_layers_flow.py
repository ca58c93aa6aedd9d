"""The flow on really trained networks: what it records, what it does not do twice, and what it leaves in Prefect."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from flows import measure_layers as flow_module
from flows.measure_layers import measure_layers
from service.errors import BadInput, NetworkMismatch, UnknownName
from service.measures import catalogue
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.hidden_states import extract
from service.storage import answers
from service.storage.consistency import check
from service.storage.database import Store


def rows(store: Path, query: str) -> list[tuple[object, ...]]:
    """What the published snapshot answers."""
    return answers.as_rows(answers.ask(Store(store, 5), query))[1]


def test_every_model_step_and_layer_has_a_row_in_both_shape_views(measured: Path) -> None:
    expected = [("tiny", step, layer) for step in (0, 1, 16, 64) for layer in range(5)]
    for view, column in (("anisotropy_by_layer", "anisotropy"), ("intrinsic_dimension_by_layer", "twonn")):
        found = rows(measured, f"select model, step, layer from lab.{view} where {column} is not null order by all")
        assert found == expected


def test_every_measure_is_recorded_under_every_position_filter(measured: Path) -> None:
    found = rows(measured, "select distinct measure, positions from lab.layer_metrics where procedure = 'corrected'")
    assert set(found) == {
        (name, positions) for name in catalogue() for positions in ("all", "not-first", "not-special")
    }


def test_a_recorded_value_is_the_measure_of_the_networks_own_states(measured: Path, decoder_folder: Path) -> None:
    source = find_checkpoints(str(decoder_folder), ["step64"], "tiny")[0]
    states = extract(load(source, device="cpu"), open_dataset("python-reference", sample=512), 512)[2]
    points = states.states.double()
    centred = points - points.mean(0)
    direct = torch.linalg.svdvals(centred)[0] ** 2 / centred.square().sum()
    ((streamed, twonn),) = rows(
        measured,
        "select a.anisotropy, i.twonn from lab.anisotropy_by_layer a join lab.intrinsic_dimension_by_layer i "
        "using (model, step, layer) where step = 64 and layer = 2",
    )
    assert streamed == pytest.approx(direct.item(), abs=0.05)  # all tokens against the sample
    assert twonn == pytest.approx(catalogue()["twonn"].corrected(_cloud(states)).get("").value, rel=1e-6)


def _cloud(summary: object) -> object:
    from service.measures import Cloud

    return Cloud(summary.states, items=summary.sample.item_id, moments=summary.moments["all"])


def test_a_second_run_loads_no_network_and_writes_no_row(
    measured: Path, decoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network was loaded")

    monkeypatch.setattr(flow_module, "load", refuse)
    before = rows(measured, "select count(*) from lab.layer_metrics")
    assert (
        measure_layers(str(decoder_folder), dataset="python-reference", sample=512, store=measured, name="tiny") == []
    )
    assert rows(measured, "select count(*) from lab.layer_metrics") == before


def test_a_new_procedure_is_measured_from_the_summaries_without_the_network(
    measured: Path, decoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copytree(measured, tmp_path / "store")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network was loaded")

    monkeypatch.setattr(flow_module, "load", refuse)
    outcomes = measure_layers(
        str(decoder_folder), ["step16"], sample=512, store=store, name="tiny", measures=["twonn"], as_released=True
    )
    assert [outcome.loaded for outcome in outcomes] == [False]
    both = rows(store, "select layer, released, corrected from lab.released_and_corrected where measure = 'twonn'")
    assert len(both) == 5
    assert all(released != corrected for _, released, corrected in both)


def test_the_store_of_a_finished_run_is_clean(measured: Path) -> None:
    assert check(Store(measured, 5)) == []


def test_one_bad_checkpoint_does_not_keep_the_others_from_being_measured(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    for step in ("step0", "step16"):
        shutil.copytree(decoder_folder / step, folder / step)
    weights = folder / "step0" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(NetworkMismatch, match=r"1 of 2 checkpoints could not be measured, the first: .*step0"):
        measure_layers(str(folder), sample=512, store=tmp_path / "store", measures=["norm_mean"])
    assert rows(tmp_path / "store", "select distinct step from lab.norms_by_layer") == [(16,)]
    assert check(Store(tmp_path / "store", 5)) == []


def test_a_network_that_yields_nan_is_recorded_with_the_reason(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(decoder_folder / "step16", tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "layers.1." in name and name.endswith("mlp.dense_h_to_4h.weight"))
    weights[name].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    measure_layers(str(folder), sample=256, store=tmp_path / "store", measures=["anisotropy", "norm_mean"])
    found = rows(
        tmp_path / "store",
        "select layer, value is null, note from lab.layer_metrics "
        "where measure = 'anisotropy' and positions = 'all' order by 1",
    )
    assert [null for _, null, _ in found] == [False, False, True, True, True]
    assert "states are NaN or infinite" in found[2][2]
    assert rows(tmp_path / "store", "select layer from lab.activations where non_finite > 0 order by 1") == [
        (2,),
        (3,),
        (4,),
    ]


def test_names_nobody_knows_are_refused_before_anything_is_written(prefect_server: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'twonn'"):
        measure_layers("anything", store=tmp_path / "store", measures=["twon"])
    with pytest.raises(UnknownName, match="did you mean 'python-reference'"):
        measure_layers("anything", dataset="python-refrence", store=tmp_path / "store")
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_a_sample_larger_than_the_text_is_refused(prefect_server: str, decoder_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("A text of a few words only.")
    with pytest.raises(BadInput, match=r"512.*short.txt"):
        measure_layers(
            str(decoder_folder / "step0"), dataset=str(tmp_path / "short.txt"), sample=512, store=tmp_path / "store"
        )
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_a_layer_that_is_not_there_is_named_with_those_that_are(measured: Path, decoder_folder: Path) -> None:
    with pytest.raises(BadInput, match="layer 9 is not there: tiny has layers 0 to 4"):
        measure_layers(str(decoder_folder), sample=512, store=measured, name="tiny", layers=[1, 9])


def test_prefect_shows_readable_names_the_gpu_tag_and_the_artifacts(prefect_server: str, measured: Path) -> None:
    def seen(what: str) -> list[dict[str, Any]]:
        return httpx.post(f"{prefect_server}/{what}/filter", json={}, timeout=60).json()

    assert "tiny all checkpoints on python-reference" in {run["name"] for run in seen("flow_runs")}
    named = [task for task in seen("task_runs") if task["name"] == "tiny step64 on python-reference[sample=512]"]
    assert named
    assert "gpu" in named[0]["tags"]
    left = {(artifact["key"], artifact["type"]) for artifact in seen("artifacts")}
    assert ("shape-tiny-python-reference-sample-512", "table") in left
    assert ("anisotropy-tiny-python-reference-sample-512", "image") in left


def test_a_summary_that_was_lost_is_read_from_the_network_again(
    measured: Path, decoder_folder: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(measured, tmp_path / "store")
    lost = next((store / "activations").rglob("step=16/*/layer=1/*.parquet"))
    lost.unlink()
    assert [problem.kind for problem in check(Store(store, 5))] == ["missing file"]
    outcomes = measure_layers(str(decoder_folder), sample=512, store=store, name="tiny")
    assert [(outcome.checkpoint.step, outcome.loaded) for outcome in outcomes] == [(16, True)]
    assert lost.exists()
    assert check(Store(store, 5)) == []


def test_a_text_that_changed_is_refused_before_a_network_is_loaded(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("One sentence after another, and then one more. " * 400)
    asked = {"dataset": str(text), "sample": 64, "store": tmp_path / "store", "measures": ["norm_mean"]}
    measure_layers(str(decoder_folder / "step0"), **asked)
    text.write_text("Now something else stands here, and it is as long. " * 400)
    with pytest.raises(BadInput, match=r"notes.txt"):
        measure_layers(str(decoder_folder / "step1"), **asked)


def test_other_weights_under_a_known_step_are_refused(
    prefect_server: str, decoder_folder: Path, tmp_path: Path
) -> None:
    asked = {"sample": 64, "store": tmp_path / "store", "measures": ["norm_mean"], "name": "one"}
    shutil.copytree(decoder_folder / "step16", tmp_path / "a" / "step16")
    shutil.copytree(decoder_folder / "step64", tmp_path / "b" / "step16")
    measure_layers(str(tmp_path / "a"), **asked)
    with pytest.raises(NetworkMismatch, match="--name"):
        measure_layers(str(tmp_path / "b"), **asked)
