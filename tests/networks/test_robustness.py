"""What really trained networks tell of corrupted images and texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from service.errors import BadInput, UnknownName
from service.measures.prediction_quality import robustness
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.edit_cases import PART, scores_of
from service.networks.image_corruptions import corrupted
from service.networks.image_training import predictions
from service.networks.robustness import (
    corrupted_images,
    item_seed,
    judged,
    pixel_predictions,
    text_predictions,
)
from service.networks.text_corruptions import FAMILIES
from service.networks.text_sources import python_reference


@pytest.fixture(scope="module")
def vision(vision_folder):
    """The vision transformer after its last step."""
    return load(find_checkpoints(str(vision_folder))[-1], device="cpu")


@pytest.fixture(scope="module")
def digits():
    """Digits that no network was trained on."""
    return open_dataset("digits:test")


@pytest.fixture(scope="module")
def texts():
    """Pieces of the reference that the decoder learned from, with line ends as spaces."""
    found = [" ".join(text.split())[:120] for text in python_reference().texts[:32]]
    assert len(found) == 32
    return found


def equal(one, other):
    """Whether two sets of predictions are the same in everything."""
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def image_predictions(network, digits, item_ids, labels, family, severity, seed=0):
    """What a network tells of corrupted digits."""
    images = corrupted_images([digits.image(item) for item in item_ids], item_ids, family, severity, seed)
    return pixel_predictions(network, images, [labels[item] for item in item_ids], item_ids)


@pytest.mark.parametrize("without_gradients", [torch.no_grad, torch.inference_mode])
def test_images_that_are_read_in_parts_are_told_what_they_are_in_one_batch(vision, digits, without_gradients):
    inputs = {"pixel_values": digits.inputs(vision, digits.item_ids[: 3 * PART + 5])}
    before = torch.get_num_threads()
    with without_gradients():
        found, at_once = scores_of(vision, inputs), vision.module(**inputs).logits
    assert torch.allclose(found, at_once, atol=1e-5)
    assert not found.requires_grad
    assert torch.get_num_threads() == before
    assert scores_of(vision, inputs).requires_grad  # one batch, whose gradient goes through


def test_clean_predictions_of_images_are_the_network_s_own(vision, digits):
    labels = digits.column("label")
    found = image_predictions(vision, digits, digits.item_ids, labels, "none", 0)
    told = predictions(vision, digits, digits.item_ids)
    assert found.correct.tolist() == [told[item] == labels[item] for item in digits.item_ids]
    assert found.groups.tolist() == list(digits.item_ids)
    with torch.no_grad():
        logits = vision.module(digits.inputs(vision, digits.item_ids[:7])).logits
    chances = logits.softmax(-1)
    wanted = torch.tensor([labels[item] for item in digits.item_ids[:7]])
    assert torch.allclose(found.confidence[:7], chances.amax(-1), atol=1e-5)
    assert torch.allclose(found.loss[:7], -chances.log()[torch.arange(7), wanted], atol=1e-4)


def test_images_are_corrupted_one_by_one_and_alike_in_any_company(vision, digits):
    labels, chosen = digits.column("label"), digits.item_ids[:300]
    found = image_predictions(vision, digits, chosen, labels, "gaussian-noise", 5, seed=3)
    assert equal(found, image_predictions(vision, digits, chosen, labels, "gaussian-noise", 5, seed=3))
    assert not equal(found, image_predictions(vision, digits, chosen, labels, "gaussian-noise", 5, seed=4))
    alone = image_predictions(vision, digits, chosen[290:], labels, "gaussian-noise", 5, seed=3)
    assert torch.allclose(alone.loss, found.loss[290:], atol=1e-5)
    by_hand = [corrupted(digits.image(item), "gaussian-noise", 5, item_seed(3, item)) for item in chosen[290:]]
    assert equal(alone, pixel_predictions(vision, by_hand, [labels[item] for item in chosen[290:]], chosen[290:]))
    assert len({item_seed(seed, item) for seed in range(20) for item in range(20)}) == 400


@pytest.mark.parametrize("family", ["impulse-noise", "motion-blur", "contrast", "pixelate"])
def test_a_trained_classifier_is_worse_under_severe_corruption(vision, digits, family):
    labels = digits.column("label")
    clean, mild, severe = (
        robustness(family, severity, image_predictions(vision, digits, digits.item_ids, labels, family, severity))
        for severity in (0, 1, 5)
    )
    assert clean.corruption == "none"
    assert clean.accuracy >= 0.95
    assert clean.accuracy + 0.01 > mild.accuracy > severe.accuracy
    assert severe.accuracy < clean.accuracy - 0.05
    assert severe.loss > clean.loss
    assert severe.calibration_error > clean.calibration_error


def test_a_change_is_measured_against_the_untouched_network(vision_folder, vision, digits):
    labels, chosen = digits.column("label"), digits.item_ids
    random = load(find_checkpoints(str(vision_folder))[0], device="cpu")
    before, after = (image_predictions(one, digits, chosen, labels, "jpeg", 3) for one in (vision, random))
    row = robustness("jpeg", 3, after, before)
    assert row.change == pytest.approx(float(after.correct.double().mean() - before.correct.double().mean()))
    assert row.change < -0.5


def test_the_second_half_of_a_text_is_judged_token_by_token(decoder, texts):
    found = text_predictions(decoder, texts[:3], "none", 0)
    for place, text in enumerate(texts[:3]):
        ids = decoder.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            chances = decoder.module(input_ids=ids).logits[0].float().log_softmax(-1)
        own = found.groups == place
        judged_tokens = int(own.sum())
        assert abs(judged_tokens - ids.shape[1] / 2) <= 4
        wanted = ids[0, -judged_tokens:]
        assert torch.allclose(
            found.loss[own], -chances[-judged_tokens - 1 : -1].gather(1, wanted[:, None])[:, 0], atol=1e-4
        )
        assert torch.equal(found.correct[own], chances[-judged_tokens - 1 : -1].argmax(-1) == wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_corrupting_the_first_half_leaves_the_same_tokens_to_judge(decoder, texts, family):
    clean = text_predictions(decoder, texts, "none", 0)
    found = text_predictions(decoder, texts, family, 5, seed=1)
    assert torch.equal(found.groups, clean.groups)
    assert not torch.equal(found.loss, clean.loss)
    assert equal(found, text_predictions(decoder, texts, family, 5, seed=1))
    milder = (text_predictions(decoder, texts, family, 4, seed) for seed in (1, 2))
    assert not torch.equal(*(one.loss for one in milder))
    row = robustness(family, 5, found, clean)
    assert row.n == len(clean)
    assert row.change == pytest.approx(float(found.correct.double().mean() - clean.correct.double().mean()))


def test_a_decoder_is_less_sure_of_what_follows_a_spoiled_text(decoder, texts):
    clean = text_predictions(decoder, texts, "none", 0).loss.mean()
    assert all(
        text_predictions(decoder, texts, family, 5).loss.mean() > clean for family in ("casing", "character-noise")
    )


def test_a_text_longer_than_the_network_reads_keeps_its_latest_tokens(decoder, texts):
    short = replace(decoder, max_length=40)
    clean = text_predictions(short, texts[:1], "none", 0)
    longer = text_predictions(short, texts[:1], "template", 5)
    assert 9 <= len(clean) <= 13  # half of two thirds of 40
    assert len(clean) == len(longer)
    assert not torch.equal(clean.loss, longer.loss)


def test_texts_without_two_halves_are_left_out_and_nothing_to_judge_is_refused(decoder, texts):
    found = text_predictions(decoder, ["", "a", texts[0], " "], "casing", 1)
    assert set(found.groups.tolist()) == {2}
    with pytest.raises(BadInput, match="next tokens need a text of 2 tokens or more; got 2 texts without any"):
        text_predictions(decoder, ["", "a"], "casing", 1)


def test_a_network_of_another_kind_and_a_class_it_lacks_are_refused(vision, decoder, encoder, digits, texts):
    labels = digits.column("label")
    chosen = digits.item_ids[:2]
    with pytest.raises(BadInput, match="is no image classifier with a head"):
        image_predictions(decoder, digits, chosen, labels, "none", 0)
    for network in (vision, encoder):
        with pytest.raises(BadInput, match="is no decoder with a head"):
            text_predictions(network, texts, "none", 0)
    for wrong in (-1, 10):
        with pytest.raises(BadInput, match=rf"class {wrong} is none of .* step200, which has 10: give 0 to 9"):
            image_predictions(vision, digits, chosen, dict.fromkeys(chosen, wrong), "none", 0)
    with pytest.raises(BadInput, match="one or more; got 0, 0, 0"):
        image_predictions(vision, digits, [], labels, "none", 0)
    with pytest.raises(UnknownName, match="unknown corruption 'jpg': did you mean 'jpeg'"):
        image_predictions(vision, digits, chosen, labels, "jpg", 1)
    with pytest.raises(UnknownName, match="unknown corruption 'jpeg'"):
        text_predictions(decoder, ["", ""], "jpeg", 1)


def test_scores_that_are_no_numbers_are_wrong():
    nothing = float("nan")
    found = judged(torch.tensor([[nothing, nothing], [0.0, -np.inf]]), torch.tensor([0, 0]), torch.arange(2))
    assert found.correct.tolist() == [False, True]
    assert not torch.isfinite(found.confidence[0])
    assert found.confidence[1] == 1
    row = robustness("jpeg", 1, found)
    assert (row.accuracy, row.loss, row.calibration_error) == (0.5, None, None)
