"""The laws of telling layers apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from clouds import some_clouds
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import BadShape
from service.measures import separation
from service.measures.classifiers import CLASSIFIERS, find_classifier
from service.measures.dimension_contribution import masked
from service.measures.separation import FOLDS, Confusion, confusion, evaluated, flat, held_out_texts, in_texts


def split(clouds, seed=0):
    held = in_texts(clouds, held_out_texts(clouds, seed))
    return clouds.where(~held), clouds.where(held)


def accuracy(clouds, name="logistic", seed=0):
    train, test = split(clouds, seed)
    return evaluated(CLASSIFIERS[name](*flat(train), len(clouds.layers)), test)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_identical_layers_are_told_at_chance(seed):
    found = accuracy(some_clouds(layers=3, texts=30, seed=seed))
    chance, spread = 1 / 3, (2 / 9 / found.tested) ** 0.5
    assert abs(found.accuracy - chance) < 5 * spread


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_layers_far_apart_are_told_without_a_mistake(name):
    found = accuracy(some_clouds(apart=60.0, width=12), name)
    assert (found.accuracy, found.within_one, found.by_class) == (1.0, 1.0, [1.0] * 4)


def test_the_very_same_states_at_every_layer_are_told_at_chance_exactly():
    clouds = some_clouds()
    same = replace(clouds, states=clouds.states[:1].expand(4, -1, -1).contiguous())
    assert accuracy(same).accuracy == pytest.approx(1 / 4)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_a_rotation_of_all_states_changes_no_accuracy_beyond_the_optimiser_s_tolerance(seed):
    """Standardising knows the axes, so the law is of clouds that every rotation leaves standardised."""
    clouds = some_clouds(apart=2.0, texts=40, seed=seed)
    points, _ = flat(clouds)
    whitened = _white(points).reshape(clouds.states.shape)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed)))[0]
    before, after = accuracy(replace(clouds, states=whitened)), accuracy(replace(clouds, states=whitened @ turn))
    assert abs(before.accuracy - after.accuracy) <= 0.005


def _white(points):
    centred = points - points.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(points))
    return centred @ vectors / values.sqrt()


def test_masking_no_dimension_changes_nothing():
    train, test = split(some_clouds(apart=1.5))
    classifier = CLASSIFIERS["logistic"](*flat(train), 4)
    untouched = masked(test, torch.tensor([], dtype=torch.long))
    assert torch.equal(evaluated(classifier, untouched).counts, evaluated(classifier, test).counts)


def test_the_confusion_matrix_is_counted_by_hand():
    found = confusion(torch.tensor([0, 1, 1, 2, 0, 2]), torch.tensor([0, 0, 1, 1, 2, 2]), 3)
    assert found.counts.tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    assert (found.tested, found.accuracy, found.within_one) == (6, 0.5, pytest.approx(5 / 6))
    assert Confusion(torch.tensor([[2, 0], [0, 0]])).by_class == [1.0, None]


def test_the_seeds_of_one_shuffle_hold_out_every_text_once_and_never_a_part_of_one():
    clouds = some_clouds(texts=23)
    held = [held_out_texts(clouds, seed) for seed in range(2 * FOLDS)]
    for start in (0, FOLDS):
        assert torch.cat(held[start : start + FOLDS]).sort().values.tolist() == list(range(23))
    assert held[0].tolist() != held[FOLDS].tolist()
    train, test = split(clouds, 3)
    assert not set(train.text.tolist()) & set(test.text.tolist())


def test_fewer_texts_than_folds_are_refused():
    message = r"^5 folds need 5 texts or more to hold whole texts out; the dataset has 1: give a longer one$"
    with pytest.raises(BadShape, match=message):
        held_out_texts(some_clouds(texts=1), 0)


def test_a_leak_between_tokens_of_a_text_shows_where_vectors_are_held_out_and_not_where_texts_are():
    """Every text's states lie around a place of its own at each layer: seen texts are told, others are not."""
    draw = torch.Generator().manual_seed(0)
    clouds = some_clouds(layers=3, texts=60, tokens=6, width=200)
    places = 3 * torch.randn(3, 60, 200, generator=draw)
    clouds = replace(clouds, states=clouds.states + places[:, clouds.text])
    held = separation.held_out_vectors(clouds, 0)
    points, labels = flat(clouds)
    leaking = CLASSIFIERS["logistic"](points[~held], labels[~held], 3)
    assert float((leaking.predict(points[held]) == labels[held]).float().mean()) > 0.9
    assert accuracy(clouds).accuracy < 0.6


def test_a_resample_keeps_texts_whole_and_some_texts_are_nested():
    clouds = some_clouds(texts=12)
    drawn = separation.resampled(clouds, 0)
    counts = torch.bincount(drawn.text, minlength=12)
    assert counts.sum() == 12 * 15
    assert set((counts % 15).tolist()) == {0}
    assert counts.max() > 15
    fewer, more = separation.some_texts(clouds, 4), separation.some_texts(clouds, 7)
    assert (fewer.texts, more.texts) == (4, 7)
    assert set(fewer.text.tolist()) < set(more.text.tolist())


def test_merged_clouds_keep_their_texts_apart_and_strange_layers_are_refused():
    first, second = some_clouds(texts=5), some_clouds(texts=7, seed=1)
    assert separation.merged(first, second).texts == 12
    with pytest.raises(BadShape, match="cannot be put together"):
        separation.merged(first, second.from_layer(1))


def test_an_unknown_classifier_is_told_the_nearest():
    with pytest.raises(Exception, match="unknown classifier 'centroids': did you mean 'centroid'"):
        find_classifier("centroids")


def test_linear_discriminant_analysis_is_scikit_learn_s_own():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    train, test = split(some_clouds(apart=1.5))
    points, labels = flat(train)
    own = LinearDiscriminantAnalysis().fit(points.numpy(), labels.numpy()).predict(flat(test)[0].numpy())
    ours = CLASSIFIERS["lda"](points, labels, 4).predict(flat(test)[0])
    assert (torch.from_numpy(own) == ours).float().mean() > 0.99
