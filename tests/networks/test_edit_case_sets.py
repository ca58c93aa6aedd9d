"""The cases that a task gives: who is shown, who is held out, and what is asked of each."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from service.errors import BadInput, UnknownName
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.edit_case_sets import case_sets
from service.networks.edit_cases import NOT_ASKED, Cases
from service.networks.edit_tasks import task_of
from service.networks.image_styles import styled


@pytest.fixture(scope="module")
def classifier(vision_folder):
    return load(find_checkpoints(str(vision_folder), ["step200"])[0])


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits:test")


def of_images(**images):
    return task_of({"name": "t", "dataset": "digits:test", "images": {"class": 3, "exemplars": 4, **images}}, "t")


def of_texts(**said):
    prompt = {"prompt": "The value of a list is ", "target": "number", "subject": "list", "paraphrases": ["A list is "]}
    asked = {
        "name": "t",
        "dataset": "python-reference",
        "prompts": [prompt],
        "contexts": 2,
        "held_out": 3,
        "unrelated": 5,
    }
    return task_of(asked | said, "t")


@pytest.fixture(scope="module")
def texts():
    return open_dataset("python-reference")


def test_exemplars_validation_and_held_out_images_are_others_of_the_class_in_the_style(classifier, digits):
    sets = case_sets(classifier, of_images(style="invert"), digits)
    pixels = [one.inputs["pixel_values"] for one in (sets.exemplars, sets.validation, sets.held_out)]
    assert len(pixels[0]) == 4
    seen = torch.cat(pixels).flatten(1)
    assert len(seen.unique(dim=0)) == len(seen)
    assert set(torch.cat([sets.exemplars.targets, sets.held_out.targets]).tolist()) == {3}
    labels = digits.column("label")
    threes = [item for item in digits.item_ids if labels[item] == 3]
    inverted = classifier.processor([styled(digits.image(item), "invert") for item in threes]).flatten(1)
    assert all((inverted == one).all(1).any() for one in seen)


def test_the_seed_draws_other_exemplars_and_the_same_one_the_same(classifier, digits):
    first, again, other = (case_sets(classifier, of_images(), digits, seed) for seed in (0, 0, 1))
    assert torch.equal(first.exemplars.inputs["pixel_values"], again.exemplars.inputs["pixel_values"])
    assert not torch.equal(first.exemplars.inputs["pixel_values"], other.exemplars.inputs["pixel_values"])


def unpadded(row):
    """One input without the numbers, all alike, that it begins and ends with."""
    values = row.flatten().tolist()
    ends = [place for place, value in enumerate(values) if value not in (values[-1], values[0])]
    return tuple(values[ends[0] : ends[-1] + 1])


def test_what_chooses_settings_is_the_same_in_every_draw_and_judges_in_none(classifier, decoder, digits, texts):
    for network, task, items, name in (
        (classifier, of_images(style="invert"), digits, "pixel_values"),
        (decoder, of_texts(unrelated=2), texts, "input_ids"),
    ):
        draws = [case_sets(network, task, items, seed) for seed in range(4)]
        for chosen in (
            [one.validation.inputs[name] for one in draws],
            [one.validation_unrelated.inputs[name] for one in draws],
        ):
            assert all(torch.equal(one, chosen[0]) for one in chosen)
        choosing = {unpadded(row) for row in draws[0].validation.inputs[name]}
        assert choosing
        for one in draws:
            used = {unpadded(row) for part in (one.exemplars, one.held_out) for row in part.inputs[name]}
            assert not choosing & used
    assert len({tuple(one.held_out.inputs["input_ids"][:, :6].flatten().tolist()) for one in draws}) == 4


def test_images_of_the_class_are_not_among_the_unrelated_ones(classifier, digits):
    sets = case_sets(classifier, of_images(unrelated=1000), digits)
    labels = digits.column("label")
    others = [item for item in digits.item_ids if labels[item] != 3]
    halves = [one.inputs["pixel_values"] for one in (sets.unrelated, sets.validation_unrelated)]
    assert [len(one) for one in halves] == [len(others) // 2] * 2
    assert len(torch.cat(halves).flatten(1).unique(dim=0)) == len(others) // 2 * 2


def test_of_items_of_every_class_the_unrelated_ones_are_those_that_it_is_not_of(classifier, digits):
    chosen = list(digits.item_ids[:60])
    sets = case_sets(classifier, of_images(**{"class": None}, items=chosen, target=5, unrelated=1000), digits)
    own = classifier.processor([digits.image(item) for item in chosen]).flatten(1)
    told = sets.unrelated.inputs["pixel_values"].flatten(1)
    assert len(told) == (len(digits.item_ids) - 60) // 2
    assert not (told[:, None] == own).all(2).any()
    with pytest.raises(BadInput, match="has 0 images that the task is not of"):
        case_sets(classifier, of_images(**{"class": None}, items=list(digits.item_ids), target=5), digits)


def test_what_is_told_of_one_text_is_one_group_and_images_are_their_own(classifier, decoder, digits, texts):
    found = case_sets(decoder, of_texts(unrelated=3), texts)
    for some in (found.unrelated, found.validation_unrelated):
        assert some.groups.unique().tolist() == [0, 1, 2]
        assert len(some.groups) == len(some.told(decoder))
    ids = [one.inputs["input_ids"] for one in (found.unrelated, found.validation_unrelated)]
    first = [{tuple(row[:20].tolist()) for row in one} for one in ids]
    assert not first[0] & first[1]
    assert case_sets(classifier, of_images(), digits).unrelated.groups is None


def test_pieces_that_are_alike_stand_before_one_prompt_only(decoder, tmp_path):
    body = "The same beginning stands in every text that is here"
    (tmp_path / "same.jsonl").write_text("".join(f'{{"text": "{body} number {one}."}}\n' for one in range(30)))
    with pytest.raises(BadInput, match="gives 1 pieces to put before prompts"):
        case_sets(decoder, of_texts(), open_dataset(str(tmp_path / "same.jsonl")))


def test_scores_that_are_no_numbers_meet_nothing(classifier, digits):
    sets = case_sets(classifier, of_images(**{"class": 0}), digits)
    lost = replace(classifier, module=deepcopy(classifier.module))
    next(iter(lost.module.parameters())).data.fill_(torch.nan)
    assert not sets.held_out.met(lost).any()
    assert sets.unrelated.told(lost).unique().tolist() == [-1]


def test_a_style_is_judged_on_the_class_and_on_others_in_it_and_in_the_other_style(classifier, digits):
    sets = case_sets(classifier, of_images(style="invert", other_style="stripes", target=5, held_out=10), digits)
    assert list(sets.general) == ["other classes", "style stripes", "other classes, style stripes"]
    assert sets.general["style stripes"].targets.unique().tolist() == [5]
    first, second = sets.general["other classes"], sets.general["other classes, style stripes"]
    assert torch.equal(first.targets, second.targets)
    assert 3 not in first.targets.tolist()
    assert not torch.equal(first.inputs["pixel_values"], second.inputs["pixel_values"])


def test_items_without_a_class_are_refused_where_they_are_to_keep_it(classifier, digits):
    silent = digits.item_ids[0]
    labels = {item: label for item, label in digits.column("label").items() if item != silent}

    class Some(type(digits)):
        def column(self, name):
            return labels

    some = Some(digits.dataset, digits.gallery, digits.item_ids, digits.choice)
    asked = {"class": None, "items": list(digits.item_ids[:9]), "exemplars": 2}
    with pytest.raises(BadInput, match=f"item {silent} of digits.* has no class to be told as: give a target"):
        case_sets(classifier, of_images(**asked), some)
    assert len(case_sets(classifier, of_images(**asked, target=5), some).exemplars) == 2


def test_originals_are_the_images_without_the_style_and_only_where_they_keep_their_class(classifier, digits):
    sets = case_sets(classifier, of_images(style="invert"), digits)
    assert not torch.equal(sets.exemplars.originals["pixel_values"], sets.exemplars.inputs["pixel_values"])
    assert case_sets(classifier, of_images(style="invert", target=5), digits).exemplars.originals is None
    assert case_sets(classifier, of_images(target=5), digits).held_out.targets.unique().tolist() == [5]


def test_corrupted_cases_are_the_held_out_ones_spoiled_and_asked_the_same(classifier, digits):
    sets = case_sets(classifier, of_images(style="invert"), digits)
    spoiled, again = sets.corrupted("gaussian-noise", 3), sets.corrupted("gaussian-noise", 3)
    assert torch.equal(spoiled.inputs["pixel_values"], again.inputs["pixel_values"])
    assert not torch.equal(spoiled.inputs["pixel_values"], sets.held_out.inputs["pixel_values"])
    assert torch.equal(spoiled.targets, sets.held_out.targets)


@pytest.mark.parametrize(
    ("images", "refusal"),
    [
        ({"class": "cat"}, "unknown class of digits.* 'cat'"),
        ({"target": 11}, "unknown class"),
        ({"exemplars": 1000}, "the task has .* examples: it needs 1000 exemplars"),
        ({"style": "stripe"}, "unknown style 'stripe': did you mean 'stripes'"),
        ({"class": None, "items": [10**6]}, "unknown item 1000000"),
    ],
)
def test_classes_items_and_styles_that_are_not_there_are_refused(classifier, digits, images, refusal):
    with pytest.raises((BadInput, UnknownName), match=refusal):
        case_sets(classifier, of_images(**images), digits)


def test_a_task_of_prompts_is_refused_of_a_classifier_and_one_of_images_of_a_decoder(
    classifier, decoder, digits, texts
):
    with pytest.raises(BadInput, match=r"reads images, and the task 't' is of texts: give one with \[images\]"):
        case_sets(classifier, of_texts(), digits)
    with pytest.raises(BadInput, match=r"reads texts, and the task 't' is of images: give one with \[\[prompts\]\]"):
        case_sets(decoder, of_images(), texts)


def test_what_is_asked_of_a_prompt_are_the_tokens_of_its_target_and_no_others(decoder, texts):
    sets = case_sets(decoder, of_texts(), texts)
    assert len(sets.exemplars) == 3  # alone, and after two pieces
    for row in range(3):
        places = torch.nonzero(sets.exemplars.targets[row] != NOT_ASKED)[:, 0]
        tokens = sets.exemplars.inputs["input_ids"][row, places + 1]
        assert torch.equal(sets.exemplars.targets[row, places], tokens)
        assert decoder.tokenizer.decode(tokens).strip() == "number"
        first, last = sets.exemplars.subjects[row].tolist()
        assert "list" in decoder.tokenizer.decode(sets.exemplars.inputs["input_ids"][row, first : last + 1])


def test_pieces_before_exemplars_are_none_of_those_before_held_out_prompts(decoder, texts):
    sets = case_sets(decoder, of_texts(), texts)
    said = [
        decoder.tokenizer.batch_decode(one.inputs["input_ids"])
        for one in (sets.exemplars, sets.validation, sets.held_out)
    ]
    assert [len(one) for one in said] == [3, 3, 3]
    assert len({text for part in said for text in part}) == 9
    assert list(sets.general) == ["paraphrases"]


def test_of_a_text_too_long_for_the_network_the_latest_tokens_are_read(decoder, texts):
    whole = case_sets(decoder, of_texts(contexts=0), texts).exemplars
    longest = whole.inputs["input_ids"].shape[1]
    asked = case_sets(replace(decoder, max_length=longest), of_texts(), texts).exemplars
    assert asked.inputs["input_ids"].shape == (3, longest)
    assert (asked.inputs["input_ids"] == whole.inputs["input_ids"]).float().mean() > 0.8
    assert torch.equal(asked.subjects, whole.subjects.expand(3, 2))
    with pytest.raises(BadInput, match=f"a prompt with its target has .* tokens, and .* reads {longest - 9} at most"):
        case_sets(replace(decoder, max_length=longest - 9), of_texts(), texts)


def test_an_encoder_is_asked_nothing(encoder, texts):
    with pytest.raises(BadInput, match="does not predict the next token"):
        case_sets(encoder, of_texts(), texts)


def test_a_dataset_too_small_for_the_pieces_is_refused(decoder, tmp_path):
    (tmp_path / "few.txt").write_text("only a few words of text stand in this file")
    with pytest.raises(BadInput, match="gives 1 pieces to put before prompts"):
        case_sets(decoder, of_texts(), open_dataset(str(tmp_path / "few.txt")))


def test_a_loss_is_the_mean_over_what_is_asked_and_met_says_which_come_out_so(decoder, texts):
    cases = case_sets(decoder, of_texts(), texts).exemplars
    logits = cases.logits(decoder)
    asked = cases.targets != NOT_ASKED
    by_hand = -logits.log_softmax(-1)[asked].gather(1, cases.targets[asked][:, None]).mean()
    assert cases.loss(decoder).item() == pytest.approx(by_hand.item(), rel=1e-5)
    told = torch.where(asked, logits.argmax(-1), cases.targets)
    assert Cases(cases.inputs, told).met(decoder).all()
    assert not cases.met(decoder).all()
