"""Two networks at the same places of the same texts: which places those are, what is refused, what is not done again."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from service.errors import BadInput, UnknownName
from service.experiments.compare_networks import Comparer, Comparison, PairOfNetworks, paired_clouds, too_few_points
from service.experiments.comparison_plan import asked_pairs
from service.measures import Cloud, find_pair
from service.measures.pairing import common_places, without_top
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.results import SampledTokens
from service.storage import activations
from service.storage.answers import ask
from service.storage.coverage import recorded_sites
from service.storage.database import open_store, publish
from service.storage.rebuilding import rebuild

FEW = Comparison(("linear_cka", "linear_cka_debiased", "procrustes", "mutual_knn"), permutations=4)


def sampled(*places):
    """Tokens at (item_id, char_end)."""
    item, end = torch.tensor(places).T if places else torch.zeros(2, 0, dtype=torch.int64)
    count = torch.arange(len(places))
    return SampledTokens(item, end, count, (end > 2).long(), torch.zeros(len(places), dtype=torch.bool))


def comparer_of(store, comparison=FEW, loaded=None):
    def network(source):
        if loaded is not None:
            loaded.append(source.checkpoint.label)
        return load(source, device="cpu")

    return Comparer(store, open_dataset("python-reference", sample=512), 512, comparison, network)


def pair_of(first, second, steps=("step64", "step64")):
    ends = [find_checkpoints(str(folder), (step,))[0] for folder, step in zip((first, second), steps, strict=True)]
    return PairOfNetworks(*ends)


@pytest.fixture(scope="module")
def done(decoder_folder, byte_folder, tmp_path_factory):
    """A store in which a network of subwords and one of bytes were compared."""
    store = open_store(tmp_path_factory.mktemp("compared") / "store", 10)
    outcome = comparer_of(store).compare(pair_of(decoder_folder, byte_folder))
    publish(store)
    return store, outcome


def test_pairs_are_the_places_that_both_have_alone():
    a = sampled((0, 2), (0, 5), (0, 7), (0, 7), (1, 5), (2, 3))
    b = sampled((2, 3), (1, 4), (0, 5), (1, 5), (0, 7), (3, 9), (0, 2))
    rows = [found.tolist() for found in common_places(a, b)]
    assert rows == [[0, 1, 4, 5], [6, 2, 3, 0]]
    rows = [found.tolist() for found in common_places(a, b, "not-first")]
    assert rows == [[1, 4, 5], [2, 3, 0]]
    assert [len(found) for found in common_places(a, sampled((5, 5)))] == [0, 0]
    assert [len(found) for found in common_places(a, sampled())] == [0, 0]


def test_the_top_components_are_gone_and_nothing_else():
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(200, 5, generator=draw, dtype=torch.float64) * torch.tensor([9.0, 5, 1, 1, 1]) + 3
    left = torch.linalg.svdvals(without_top(points, 2) - without_top(points, 2).mean(0))
    before = torch.linalg.svdvals(points - points.mean(0))
    assert left.tolist() == pytest.approx([*before[2:].tolist(), 0, 0], abs=1e-9)
    assert without_top(points, 0) is points
    with pytest.raises(BadInput, match="taken out is 0 or more; got -1"):
        without_top(points, -1)


def test_networks_of_subwords_and_of_bytes_are_compared_where_both_end_a_token(done, decoder_folder, byte_folder):
    store, outcome = done
    rows = ask(store, "select * from lab.pair_metrics").to_pylist()
    assert len(rows) == outcome.rows == 5 * 5 * 4 * 2  # embedding, three blocks, final norm; measures; filters
    assert {(row["model_a"], row["model_b"]) for row in rows} == {("tiny-decoder", "tiny-bytes")}
    assert 32 <= outcome.pairs == max(row["pairs"] for row in rows) < 512
    first, second = (
        [activations.read_summary(store, site) for site in sites_of(store, folder)]
        for folder in (decoder_folder, byte_folder)
    )
    left, right = paired_clouds(first, second, "not-first")
    row = next(
        row
        for row in rows
        if (row["measure"], row["positions"], row["layer_a"], row["layer_b"]) == ("procrustes", "not-first", 2, 3)
    )
    assert row["value"] == pytest.approx(find_pair("procrustes").of(left[2], right[3]).value)
    # the pairs are of the same places: where the token ends, the text is the same
    places = common_places(first[0].sample, second[0].sample)
    ends = [summaries[0].sample.char_end[own] for summaries, own in zip((first, second), places, strict=True)]
    assert torch.equal(*ends)


def sites_of(store, folder):
    return recorded_sites(
        store, find_checkpoints(str(folder), ("step64",))[0].checkpoint.checkpoint_id, "python-reference[sample=512]"
    )


def test_trained_networks_are_more_alike_than_random_pairings_and_a_network_is_most_like_itself(done):
    store, _ = done
    found = ask(
        store, "select min(z) as z, max(p) as p from lab.network_dissimilarity where measure = 'linear_cka_debiased'"
    )
    assert found.to_pylist()[0]["z"] > 3
    assert found.to_pylist()[0]["p"] == pytest.approx(1 / 5)


def test_every_layer_is_nearest_to_itself_in_the_same_network_and_that_is_monotone(decoder_folder, tmp_path):
    store = open_store(tmp_path / "store", 10)
    comparer_of(store).compare(pair_of(decoder_folder, decoder_folder))
    publish(store)
    rows = ask(
        store, "select layer_a, layer_b, monotone, depth_correlation, value, measure from lab.nearest_layer"
    ).to_pylist()
    assert len(rows) == 5 * 4 * 2
    for row in rows:
        assert (row["layer_a"], row["monotone"], row["depth_correlation"]) == (row["layer_b"], True, pytest.approx(1))
        assert row["value"] == pytest.approx(0 if row["measure"] == "procrustes" else 1, abs=1e-6)


def test_what_is_recorded_is_not_done_again_and_what_is_lacking_is(done, decoder_folder, byte_folder):
    store, _ = done
    loaded = []
    pair = pair_of(decoder_folder, byte_folder)
    assert comparer_of(store, FEW, loaded).compare(pair).rows == 0
    fewer = replace(FEW, permutations=2)
    assert comparer_of(store, fewer).lacks(pair) == {}
    of_points = comparer_of(store, replace(FEW, measures=("linear_cka",), permute="points"), loaded)
    assert len(of_points.lacks(pair)["all"]) == 1
    assert of_points.compare(pair).rows == 5 * 5 * 2
    assert of_points.lacks(pair) == comparer_of(store).lacks(pair) == {}
    publish(store)
    by_null = "select permuted, count(*) as n, avg(z) as z from {} where measure = 'linear_cka' group by 1"
    rows = {row["permuted"]: row for row in ask(store, by_null.format("lab.pair_metrics")).to_pylist()}
    assert {name: row["n"] for name, row in rows.items()} == {"items": 50, "points": 50}
    assert rows["items"]["z"] < rows["points"]["z"]
    (row,) = ask(store, by_null.format("lab.network_dissimilarity")).to_pylist()
    assert (row["permuted"], row["n"]) == ("items", 50)
    more = replace(FEW, measures=("linear_cka", "mean_cca"))
    lacking = comparer_of(store, more).lacks(pair)
    assert {positions: [one.name for one in measures] for positions, measures in lacking.items()} == {
        "all": ["mean_cca"],
        "not-first": ["mean_cca"],
    }
    taken_out = comparer_of(store, Comparison(("linear_cka",), 2, without_top=1), loaded).compare(pair)
    assert taken_out.rows == 5 * 5 * 2
    assert loaded == []  # the summaries were there
    publish(store)
    found = ask(store, "select distinct without_top from lab.pair_metrics order by 1")
    assert found["without_top"].to_pylist() == [0, 1]


def test_the_rows_are_in_the_ledger(done):
    store, _ = done
    count = "select count(*) as n from lab.pair_metrics"
    before = ask(store, count)["n"].to_pylist()
    rebuild(store.root, 10)
    assert ask(store, count)["n"].to_pylist() == before


def test_other_texts_and_too_few_places_are_refused_in_one_line(done, decoder_folder, byte_folder):
    store, _ = done
    first, second = (
        [activations.read_summary(store, site) for site in sites_of(store, folder)]
        for folder in (decoder_folder, byte_folder)
    )
    elsewhere = [replace(one, site=replace(one.site, dataset="enwik8")) for one in second]
    with pytest.raises(
        BadInput, match=r"^tiny-decoder step64 read python-reference\[.*\] and tiny-bytes step64 read enwik8"
    ):
        paired_clouds(first, elsewhere)
    changed = [replace(one, site=replace(one.site, dataset_digest="other")) for one in second]
    with pytest.raises(BadInput, match="with other contents: two networks are compared on the same texts"):
        paired_clouds(first, changed)
    moved = [replace(one, sample=replace(one.sample, item_id=one.sample.item_id + 10_000)) for one in second]
    with pytest.raises(BadInput, match="end a token at no place in common, of 512 and 512 states"):
        paired_clouds(first, moved)
    few = [replace(one, sample=shortened(one.sample), states=one.states[:40]) for one in second]
    with pytest.raises(
        BadInput, match=r"at only \d+ places in common, .* a comparison needs 32: give a larger --sample"
    ):
        paired_clouds(first, few)
    broken = [replace(one, non_finite=7) for one in second]
    with pytest.raises(BadInput, match="layer 0 of tiny-bytes step64 has 7 states that are NaN or infinite"):
        paired_clouds(first, broken)


def shortened(sample):
    names = ("item_id", "char_end", "token_id", "position", "special")
    return SampledTokens(*(getattr(sample, name)[:40] for name in names))


def test_fewer_points_than_dimensions_are_warned_of_by_the_names_of_the_measures():
    clouds = [Cloud(torch.randn(40, 64))], [Cloud(torch.randn(40, 8))]
    measures = [find_pair(name) for name in ("linear_cka", "linear_cka_debiased", "mean_cca")]
    assert too_few_points(*clouds, measures) == (
        "40 common places for 64 dimensions: linear_cka, mean_cca take unrelated networks for alike"
    )
    assert too_few_points(*clouds, measures[1:2]) is None
    clouds = [Cloud(torch.randn(70, 64))], [Cloud(torch.randn(70, 8))]
    assert too_few_points(*clouds, measures) == (
        "70 common places for 64 + 8 dimensions: mean_cca take unrelated networks for alike"
    )
    assert too_few_points(*clouds, measures[:2]) is None
    assert too_few_points([Cloud(torch.randn(73, 64))], [Cloud(torch.randn(73, 8))], measures) is None


def test_a_network_whose_layers_are_constant_is_named_in_one_line(decoder_folder, byte_folder, tmp_path):
    place = tmp_path / "silent" / "step64"
    shutil.copytree(decoder_folder / "step64", place)
    weights = load_file(place / "model.safetensors")
    weights["gpt_neox.embed_in.weight"].zero_()
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    comparer = comparer_of(open_store(tmp_path / "store", 10), replace(FEW, measures=("linear_cka",)))
    outcome = comparer.compare(pair_of(place.parent, byte_folder))
    assert outcome.warning == "states of silent step64 do not differ at layers 0, 1, 2, 3, 4: no value there"


def test_what_cannot_be_asked_is_named():
    with pytest.raises(UnknownName, match="unknown measure of pairs 'cka'"):
        Comparison(("cka",))
    with pytest.raises(BadInput, match="--without-top is 0 to 3 principal components; got 4"):
        Comparison(without_top=4)
    with pytest.raises(BadInput, match="--permutations is 0 or more; got -1"):
        Comparison(permutations=-1)


def test_without_revisions_the_last_checkpoints_are_compared(decoder_folder, byte_folder):
    pairs = asked_pairs(str(decoder_folder), str(byte_folder))
    assert [pair.label for pair in pairs] == ["tiny-decoder step64 and tiny-bytes step64"]
    assert len(asked_pairs(str(decoder_folder), str(byte_folder), ["step*"], ["step0", "step16"])) == 8
