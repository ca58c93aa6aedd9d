"""The studies of dissimilarity on small networks that were really trained: rows, nothing twice, one line for what cannot be."""

from __future__ import annotations

import json

import pytest

from service.errors import BadInput, UnknownName
from service.networks.cued_sentences import cued_sentences, plain_sentences
from service.networks.fine_tuning import Tuning, fine_tune
from service.networks.training import Recipe, small_decoder, small_encoder, train, train_tokenizer
from service.storage.answers import ask
from service.storage.database import Store
from service.storage.rebuilding import rebuild


@pytest.fixture(scope="module")
def sentences():
    return plain_sentences(400)


@pytest.fixture(scope="module")
def text(sentences, tmp_path_factory):
    """A small file of text."""
    place = tmp_path_factory.mktemp("text") / "sentences.txt"
    place.write_text("\n".join(sentences))
    return str(place)


@pytest.fixture(scope="module")
def decoders(sentences, tmp_path_factory):
    """Two GELU and two SoLU networks of one size."""
    folder, tokenizer = tmp_path_factory.mktemp("activations"), train_tokenizer(sentences, 300, "causal")
    recipe = Recipe(12, (0, 12), batch=4, length=32, threads=1)
    for activation in ("gelu", "solu"):
        for seed in (0, 1):
            module = small_decoder(16, 2, len(tokenizer), seed, activation=activation)
            train(module, tokenizer, sentences, folder / f"{activation}-{seed}", recipe)
    return [str(place) for place in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def fine_tunings(sentences, tmp_path_factory):
    """Five classifiers made of one encoder."""
    folder, tokenizer = tmp_path_factory.mktemp("tunings"), train_tokenizer(sentences, 400, "masked")
    recipe = Recipe(8, (8,), "masked", batch=4, length=32, threads=1)
    base = train(small_encoder(16, 2, len(tokenizer)), tokenizer, sentences, folder / "base", recipe) / "step8"
    for seed in range(5):
        tuning = Tuning(seed, 10, learning_rate=5e-3, warmup=2, threads=1)
        fine_tune(base, cued_sentences("training"), folder / f"tuned-{seed}", tuning)
    return [str(folder / f"tuned-{seed}") for seed in range(5)]


def test_activation_functions_are_stitched_within_and_across_both_ways(decoders, text, isoscope, tmp_path):
    asked = ("study", "activations", *decoders, "--layers", "1", "--steps", "2", "--dataset", text, "--json")
    done = isoscope(*asked, store=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout).values()
    cells = {(row["bottom"], row["top"]): row["pairs"] for row in first}
    assert cells == {("gelu", "gelu"): 2, ("gelu", "solu"): 4, ("solu", "gelu"): 4, ("solu", "solu"): 2}
    store = Store(tmp_path / "store", 20)
    every = ask(store, "select * from lab.stitching").to_pylist()
    penalty = {(row["model_a"], row["model_b"]): row["penalty"] for row in every}
    gaps = [[penalty[f"gelu-{i}", f"solu-{j}"] - penalty[f"solu-{j}", f"gelu-{i}"] for j in range(2)] for i in range(2)]
    own = {row["model_a"]: row["penalty"] for row in every if row["model_a"] == row["model_b"]}
    of_gelu, of_solu = ([sum(gap) / 2 for gap in side] for side in (gaps, zip(*gaps, strict=True)))
    variance = sum((side[0] - side[1]) ** 2 / 4 for side in (of_gelu, of_solu))
    (found,) = ask(store, "select * from lab.activation_asymmetry").to_pylist()
    assert found["asymmetry"] == pytest.approx(sum(of_gelu) / 2)
    assert found["asymmetry_std_error"] == pytest.approx(variance**0.5)
    over_self = sum(of_gelu) / 2 - (own["solu-0"] + own["solu-1"] - own["gelu-0"] - own["gelu-1"]) / 2
    assert found["asymmetry_over_self"] == pytest.approx(over_self)
    assert (found["pairs"], found["networks_a"], found["networks_b"], found["converged"]) == (4, 2, 2, 0)
    assert second[0]["asymmetry"] == pytest.approx(found["asymmetry"], abs=1e-4)
    spread = ask(store, "select activation_a, activation_b, stitchings from lab.activation_stitching order by all")
    assert [tuple(row.values()) for row in spread.to_pylist()] == [(*cell, cells[cell]) for cell in sorted(cells)]
    again = isoscope(*asked, store=tmp_path / "store")
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert ask(store, "select count(*) from lab.runs where experiment = 'stitch_networks'")[0][0].as_py() == 16


def test_sizes_are_compared_with_themselves_with_each_other_and_over_training(prefect_server, decoders, text, tmp_path):
    from flows.similarity_studies import study_width_depth

    place = tmp_path / "store"
    outcomes = study_width_depth(
        decoders[:2], ["step*"], quick=True, dataset=text, sample=256, store=str(place), device="cpu"
    )
    assert len(outcomes) == 2 * 4 + 2 * (1 + 2 * 2)
    store = Store(place, 20)
    blocks = ask(
        store, "select * from lab.block_structure where measure = 'linear_cka' and positions = 'all'"
    ).to_pylist()
    found = {(row["model"], row["step"], row["without_top"]) for row in blocks}
    assert found == {(f"gelu-{n}", 12, k) for n in (0, 1) for k in range(4)} | {
        (f"gelu-{n}", 0, k) for n in (0, 1) for k in (0, 1)
    }
    found = "select distinct model_a, step_a, model_b, step_b, without_top from lab.network_dissimilarity where {} order by all"
    for others in ("model_a <> model_b", "model_a = model_b and step_a < step_b"):
        assert {row["without_top"] for row in ask(store, found.format(others)).to_pylist()} == {0, 1}
    (row,) = (row for row in blocks if (row["model"], row["step"], row["without_top"]) == ("gelu-0", 12, 0))
    alike = ask(
        store,
        "select least(layer_a, layer_b) as low, greatest(layer_a, layer_b) as high, avg(value) as value "
        "from lab.network_dissimilarity where model_a = 'gelu-0' and model_b = 'gelu-0' and step_a = 12 and step_b = 12 "
        "and measure = 'linear_cka' and positions = 'all' and without_top = 0 and stream_a <> 'final' "
        "and stream_b <> 'final' and layer_a <> layer_b group by all",
    ).to_pylist()
    value = {(pair["low"], pair["high"]): pair["value"] for pair in alike}
    assert set(value) == {(0, 1), (0, 2), (1, 2)}
    assert row["adjacent"] == pytest.approx((value[0, 1] + value[1, 2]) / 2)
    assert row["distant"] == pytest.approx(value[0, 2])
    whole = min(value.values()) >= 0.9
    pairs = [pair for pair in ((0, 1), (1, 2)) if value[pair] >= 0.9]
    assert row["largest_block"] == (3 if whole else 2 if pairs else 1)
    identified = ask(store, "select distinct layers from lab.layer_identification where measure = 'linear_cka'")
    assert identified["layers"].to_pylist() == [4]


def test_fine_tunings_are_judged_and_their_distance_to_the_best_is_set_against_it(
    prefect_server, fine_tunings, isoscope, tmp_path
):
    from scipy.stats import kendalltau, spearmanr

    out = tmp_path / "out.jsonl"
    texts = cued_sentences("out-of-distribution")
    rows = zip(texts.texts[:200], texts.labels[:200], strict=True)
    out.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in rows))
    asked = ("study", "generalisation", *fine_tunings, "--in-distribution", str(out), "--out-of-distribution", str(out))
    asked += ("--quick", "--texts", "100", "--json")
    done = isoscope(*asked, store=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "store", 20)
    read = ask(store, "select distinct dataset from lab.network_dissimilarity")["dataset"].to_pylist()
    assert read == ["out.jsonl[sample=1024,texts=100]"]  # those out of distribution
    judged = ask(store, "select * from lab.classifier_accuracies").to_pylist()
    assert len(judged) == 10
    assert {row["items"] for row in judged} == {200}
    accuracy = {row["model"]: row["accuracy"] for row in judged if row["split"] == "out-of-distribution"}
    best = max(accuracy.values())
    for layer in range(4):
        query = "select * from lab.generalisation_distances where measure = 'procrustes_angular' and layer = ? "
        found = ask(store, query + "and positions = 'all'", [layer]).to_pylist()
        assert len(found) == 4
        reference = found[0]["reference"]
        assert accuracy[reference] == best
        gaps = [best - accuracy[row["model"]] for row in found]
        assert [row["accuracy_gap"] for row in found] == pytest.approx(gaps)
        distances = [row["distance"] for row in found]
        query = "select * from lab.generalisation_by_distance where measure = 'procrustes_angular' and layer = ? "
        (row,) = ask(store, query + "and positions = 'all'", [layer]).to_pylist()
        if len(set(gaps)) > 1 and len(set(distances)) > 1:
            assert row["spearman"] == pytest.approx(spearmanr(distances, gaps).statistic)
            assert row["kendall"] == pytest.approx(kendalltau(distances, gaps).statistic)
            assert row["spearman_z"] == pytest.approx(row["spearman"] * 3**0.5)
    before = ask(store, "select * from lab.generalisation_distances order by all").to_pylist()
    rebuild(store.root, 20)
    assert ask(store, "select * from lab.generalisation_distances order by all").to_pylist() == before
    again = isoscope(*asked, store=tmp_path / "store")
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert ask(store, "select count(*) from lab.runs")[0][0].as_py() == 5 + 10 + 10


def test_what_cannot_be_studied_is_said(monkeypatch, tmp_path):
    from service.command_dissimilarity import activations, generalisation

    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"^--seeds is 2 or more, so that networks of one activation can be .* got 1$"):
        activations(seeds=1)
    with pytest.raises(UnknownName, match=r"^unknown model 'nowhere/at/all': there is no such folder$"):
        activations(["nowhere/at/all"])
    with pytest.raises(BadInput, match=r"^--seeds is 4 or more, or there is nothing to correlate; got 3$"):
        generalisation(seeds=3)
    with pytest.raises(BadInput, match=r"are files of labelled texts: give both or neither$"):
        generalisation(in_distribution="a.jsonl")
    with pytest.raises(BadInput, match=r"^networks of yours are judged on texts of yours: give --in-distribution and"):
        generalisation(["some-network"])
    assert list(tmp_path.iterdir()) == []
