"""The questions of separability, asked of a really trained decoder, against the same numbers found another way."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

from service.errors import BadInput, BadShape, IsoscopeError, UnknownName
from service.experiments.layer_clouds import CloudReader
from service.experiments.separability_scaling import scaling, unscaled
from service.experiments.separability_study import Study
from service.experiments.separability_transfer import transfer, untransferred
from service.experiments.separate_layers import Inquiry, missing, separate
from service.measures.separation import held_out_texts
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import USUAL, Choice
from service.storage.answers import ask
from service.storage.coverage import recorded_sites
from service.storage.database import open_store, publish
from service.storage.rebuilding import rebuild

FEW = Choice(texts=30, length=20)
REFERENCE = "python-reference"
KEY = "python-reference[texts=30,length=20]"


def reader_of(store, folder, revisions=("step64",), name="tiny", **more):
    source = find_checkpoints(str(folder), revisions, name)[0]
    return CloudReader(store, source.checkpoint, functools.cache(lambda: load(source, device="cpu")), **more)


@pytest.fixture(scope="module")
def reader(decoder_folder, tmp_path_factory):
    return reader_of(open_store(tmp_path_factory.mktemp("separated") / "store", 10), decoder_folder)


@pytest.fixture(scope="module")
def asked(reader):
    """A store in which every question was asked over few texts."""
    questions = ("separability", "masking", "norm", "stability", "projection", "leak", "released")
    inquiries = [Inquiry(question, seeds=3) for question in questions]
    inquiries.append(Inquiry("mask", seeds=3, dimensions=(1, 5)))
    inquiries += [Inquiry("separability", name, seeds=3) for name in ("tree", "centroid", "lda")]
    separate(reader, REFERENCE, FEW, inquiries)
    transfer(reader, (REFERENCE, "random-tokens"), FEW, 0, 2)
    scaling(reader, REFERENCE, (10, 20), (8, 20))
    publish(reader.store)
    return reader.store


def answer(store, query):
    return ask(store, query).to_pylist()


def test_the_accuracy_and_the_confusions_are_scikit_learn_s(asked, reader):
    clouds = reader.of(REFERENCE, FEW).clouds
    layers, _, width = clouds.states.shape
    total, accuracies = np.zeros((layers, layers)), []
    for seed in range(3):
        held = np.isin(clouds.text.numpy(), held_out_texts(clouds, seed).numpy())
        train, test = (clouds.states[:, keep].reshape(-1, width).double().numpy() for keep in (~held, held))
        mean, scale = train.mean(0), train.std(0)
        classes = [np.repeat(np.arange(layers), keep.sum()) for keep in (~held, held)]
        fitted = LogisticRegression(tol=1e-6, max_iter=20_000).fit((train - mean) / scale, classes[0])
        found = confusion_matrix(classes[1], fitted.predict((test - mean) / scale), labels=range(layers))
        total, accuracies = total + found, [*accuracies, found.trace() / found.sum()]
    shown = answer(
        asked,
        "select * from lab.layer_separability where layer is null and classifier = 'logistic' and procedure = 'corrected'",
    )
    assert [row["accuracy"] for row in shown] == [pytest.approx(np.mean(accuracies), abs=0.004)]
    reach = 4.303 * np.std(accuracies, ddof=1) / 3**0.5  # Student's t of two degrees of freedom
    low, high = max(0, np.mean(accuracies) - reach), min(1, np.mean(accuracies) + reach)
    assert [shown[0]["accuracy_low"], shown[0]["accuracy_high"]] == pytest.approx([low, high], abs=0.01)
    assert (shown[0]["seeds"], shown[0]["chance"], shown[0]["test_texts"]) == (3, 0.25, 6)
    counted = answer(
        asked,
        "select n from lab.layer_confusion where classifier = 'logistic' and procedure = 'corrected' order by layer, predicted",
    )
    assert np.abs(np.array([row["n"] for row in counted]).reshape(layers, layers) - total).sum() <= 0.01 * total.sum()


def test_every_question_has_its_rows(asked):
    shares = answer(
        asked, "select layer, procedure, sum(contribution) as whole from lab.dimension_contributions group by all"
    )
    assert [row["whole"] for row in shares] == pytest.approx([100.0] * 8)
    conditions = {
        (row["question"], row["condition"])
        for row in answer(asked, "select distinct question, condition from lab.separability_ablations")
    }
    assert {("leak", "held-out texts"), ("leak", "held-out vectors"), ("norm", "norm alone")} <= conditions
    assert {
        ("masking", f"{kind} dimensions, {way}") for kind in ("top", "random") for way in ("zero", "mean", "retrained")
    } <= (conditions)
    assert ("masking", "dimensions 1,5, retrained") in conditions
    overlaps = answer(asked, "select distinct across, top, chance from lab.separability_stability order by all")
    assert [(row["across"], row["top"]) for row in overlaps] == [
        (a, k) for a in ("resamples", "splits") for k in (1, 2, 3)
    ]
    assert all(row["chance"] == row["top"] / 32 for row in overlaps)
    rank = answer(asked, "select rank, effective_rank from lab.separability_weight_rank")
    assert rank[0]["rank"] == 3
    assert 1 <= rank[0]["effective_rank"] <= 3
    whole = answer(
        asked,
        "select p.accuracy, s.accuracy as all_of_them from lab.separability_ablations p join lab.layer_separability s "
        "using (model, dataset, from_layer) where p.question = 'projection' and p.amount = 3 and p.layer is null "
        "and s.layer is null and classifier = 'logistic' and s.procedure = 'corrected'",
    )
    assert whole[0]["accuracy"] == whole[0]["all_of_them"]


def test_the_dimensions_that_make_half_of_a_decision_are_counted_as_in_the_view(asked):
    grouped = "select layer, procedure, list(contribution) as shares from lab.dimension_contributions group by all order by all"
    counted = answer(asked, "select * from lab.contribution_shares order by layer, procedure")
    for row, found in zip(counted, answer(asked, grouped), strict=True):
        shares = np.sort(found["shares"])[::-1]
        for part, name in ((0.5, "half"), (0.9, "nine_tenths")):
            assert row[f"dimensions_for_{name}"] == (shares.cumsum() < part * shares.sum()).sum() + 1
            # of half-normal sizes those above t make exp(-t^2 / 2) of the sum
            line = math.erfc(math.sqrt(-math.log(part))) * len(shares)
            assert float(row[f"gaussian_for_{name}"]) == pytest.approx(line, rel=1e-3)


def test_released_and_corrected_stand_side_by_side(asked):
    rows = answer(asked, "select * from lab.separability_released_and_corrected where layer is null")
    both = {(row["question"], row["condition"]) for row in rows if row["corrected"] is not None}
    assert {("separability", "all dimensions"), ("norm", "unit vectors"), ("masking", "top dimensions, zero")} <= both
    assert all(
        row["difference"] == pytest.approx(row["released"] - row["corrected"]) for row in rows if row["corrected"]
    )


def test_transfer_tests_both_ways_without_punctuation_and_on_the_mixture(asked):
    rows = answer(asked, "select * from lab.separability_transfer where layer is null")
    random = "random-tokens[texts=30,length=20]"
    plain = "[texts=30,length=20,no-punctuation]"
    assert {(row["dataset"], row["condition"], row["tested_on"]) for row in rows} == {
        (KEY, "held-out texts", KEY),
        (random, "held-out texts", random),
        (KEY, "another dataset", random),
        (random, "another dataset", KEY),
        (KEY, "without punctuation", REFERENCE + plain),
        (random, "without punctuation", "random-tokens" + plain),
        (f"{KEY} + {random}", "trained on the mixture", KEY),
        (f"{KEY} + {random}", "trained on the mixture", random),
    }
    assert {row["test_texts"] for row in rows if row["condition"] == "another dataset"} == {30}


def test_every_row_says_how_many_texts_were_trained_and_tested_on(asked):
    rows = answer(asked, "select * from lab.separability_scores where layer is null and question <> 'scaling'")
    found = {(row["procedure"], row["condition"]): (row["train_texts"], row["test_texts"]) for row in rows}
    others = {
        ("corrected", "held-out vectors"): (30, 30),
        ("corrected", "another dataset"): (24, 30),
        ("corrected", "trained on the mixture"): (48, 6),
    }
    for asked_for, texts in found.items():
        assert texts == (others.get(asked_for, (24, 6)) if asked_for[0] == "corrected" else (30, 30)), asked_for
    assert others.keys() <= found.keys()
    assert ("released", "unit vectors") in found


def test_scaling_has_a_row_for_each_number_of_texts_and_length(asked):
    rows = answer(asked, "select texts, length, parameters, n_tested from lab.separability_scaling where layer is null")
    assert {(row["texts"], row["length"]) for row in rows} == {(10, 8), (20, 8), (10, 20), (20, 20)}
    assert all(row["n_tested"] == row["texts"] // 5 * row["length"] * 4 for row in rows)
    assert all(row["parameters"] > 10_000 for row in rows)


def test_what_is_answered_is_not_asked_again_and_a_rebuilt_store_has_the_same_rows(asked, reader):
    again = separate(reader, REFERENCE, FEW, [Inquiry(seeds=3), Inquiry("norm", seeds=3), Inquiry(seeds=2)])
    assert (again.questions, missing(asked, reader.checkpoint, KEY, [Inquiry(seeds=2)])) == (1, [])
    assert untransferred(reader, (REFERENCE, "random-tokens"), FEW, 0, 2) == []
    assert unscaled(reader, REFERENCE, (10, 20), (8, 20, 25)) == [25]
    publish(asked)
    query = "select * exclude (n_tested) from lab.separability_scores order by all"
    before = answer(asked, query)
    rebuild(asked.place, 10)
    assert answer(asked, query) == before


def test_the_newest_run_is_shown_whole(asked):
    rows = answer(
        asked,
        "select seeds from lab.layer_separability where layer is null and classifier = 'logistic' and procedure = 'corrected'",
    )
    assert rows == [{"seeds": 2}]  # asked again with two, in the test before


def test_the_last_tokens_alone_and_no_embedding_are_choices_too(reader):
    found = separate(reader, REFERENCE, Choice(24, 16, last=True), [Inquiry(from_layer=1, seeds=2)])
    assert found.dataset == "python-reference[texts=24,length=16,last]"
    publish(reader.store)
    query = "select chance, n_tested from lab.layer_separability where dataset like '%last]' and layer is null"
    assert answer(reader.store, query) == [
        {"chance": pytest.approx(1 / 3), "n_tested": pytest.approx(3 * 24 / 5, abs=0.61)}
    ]


def test_a_study_asks_every_question_at_the_last_checkpoint_and_one_at_the_others(decoder_folder):
    sources = find_checkpoints(str(decoder_folder), ["step1", "step64"])
    parts = list(Study((REFERENCE, "random-tokens"), USUAL, as_released=True).parts(sources))
    assert [type(part).__name__ for part in parts] == ["Questions"] * 4 + ["Transfer", "Scaling"]
    assert [part.source.checkpoint.step for part in parts] == [1, 64, 64, 64, 64, 64]
    every = [(one.question, one.classifier, one.from_layer) for one in parts[2].inquiries]
    assert ("separability", "lda", 0) in every
    assert ("separability", "logistic", 1) in every
    assert [question for question, *_ in every[-6:]] == [
        "masking",
        "norm",
        "stability",
        "projection",
        "leak",
        "released",
    ]


@pytest.mark.parametrize(("name", "text", "texts"), [("few", "word " * 400, 4), ("one", "short", 1)])
def test_fewer_texts_than_folds_are_refused_before_anything_is_read(reader, tmp_path, name, text, texts):
    path = tmp_path / f"{name}.txt"
    path.write_text(text)
    said = rf"^5 folds need 5 texts or more to hold whole texts out; the dataset has {texts}: give a longer one$"
    with pytest.raises(BadShape, match=said):
        separate(reader, str(path), Choice(last=True), [Inquiry()])
    assert recorded_sites(reader.store, reader.checkpoint.checkpoint_id, f"{name}.txt[last]") == []


def test_questions_that_cannot_be_asked_are_refused(reader):
    with pytest.raises(UnknownName, match="unknown question 'norms': did you mean 'norm'"):
        Inquiry("norms")
    with pytest.raises(UnknownName, match="unknown classifier 'forest'"):
        Inquiry(classifier="forest")
    with pytest.raises(BadInput, match="one seed or more is needed; got 0"):
        Inquiry(seeds=0)
    with pytest.raises(BadInput, match=r"transfer needs two datasets; got .* twice"):
        transfer(reader, (REFERENCE, REFERENCE), FEW, 0, 2)
    with pytest.raises(BadShape, match="dimension 32 is out of range: the states have dimensions 0 to 31"):
        separate(reader, REFERENCE, FEW, [Inquiry("mask", dimensions=(32,), seeds=1)])


def test_a_network_of_one_block_and_constant_states_are_refused(tmp_path):
    import torch
    from tiny_networks import saved
    from transformers import AutoModelForCausalLM

    store = open_store(tmp_path / "store", 10)
    one = saved("one-layer", tmp_path / "one")
    with pytest.raises(IsoscopeError, match="has 1 block: layers are told apart in a network of two or more"):
        separate(reader_of(store, one, (), "one"), REFERENCE, FEW, [Inquiry()])
    flat = saved("llama", tmp_path / "flat")
    network = AutoModelForCausalLM.from_pretrained(flat)
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
    network.save_pretrained(flat)
    with pytest.raises(BadShape, match="the states of all tokens and layers are one and the same"):
        separate(reader_of(store, flat, (), "flat"), REFERENCE, FEW, [Inquiry()])
