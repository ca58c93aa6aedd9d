"""Prompts keep their subject's and their targets' places, whatever stands around them."""

from __future__ import annotations

from dataclasses import replace

import torch
from subject_cases import TEXTS, subject_cases

from service.networks.subject_prompts import neutral_prompt, random_prefixes, subject_prompts, with_prefixes


def test_the_neutral_sentence_is_of_the_subject_wherever_it_stood(decoder):
    for prompt, (_, subject, _) in zip(
        subject_prompts(decoder, subject_cases(decoder, 3 * [" a"]), "a test"), TEXTS, strict=True
    ):
        neutral = neutral_prompt(decoder, prompt)
        assert decoder.tokenizer.decode(neutral.ids) == f"{subject} is a"
        assert decoder.tokenizer.decode(neutral.subject) == subject


def test_prefixes_stand_before_the_prompt_and_leave_its_words_as_they_are(decoder):
    prompt = subject_prompts(decoder, subject_cases(decoder, [" of the"]), "a test")[0]
    prefixes = random_prefixes(decoder, 0)
    bare, *behind = with_prefixes(decoder, prompt, prefixes)
    assert bare is prompt
    assert len({tuple(one.ids.tolist()) for one in behind}) == len(prefixes) == 10
    for one in behind:
        assert one.subject == prompt.subject
        assert one.ids[-len(prompt) :].tolist() == prompt.ids.tolist()
        assert one.targets[one.end :].tolist() == prompt.targets[prompt.end :].tolist()
    narrow = replace(decoder, max_length=len(prompt) + 8)
    assert 1 < len(with_prefixes(narrow, prompt, prefixes)) < 11
    assert len(with_prefixes(replace(decoder, max_length=len(prompt)), prompt, prefixes)) == 1


def test_padding_on_either_side_is_no_part_of_a_prompt(decoder):
    cases = subject_cases(decoder, [" of"])
    left = {name: torch.nn.functional.pad(value, (3, 0)) for name, value in cases.inputs.items()}
    targets = torch.nn.functional.pad(cases.targets, (3, 2), value=-100)
    both = replace(
        cases,
        inputs={name: torch.nn.functional.pad(value, (0, 2)) for name, value in left.items()},
        targets=targets,
        subjects=cases.subjects + 3,
    )
    (one,), (other,) = (subject_prompts(decoder, given, "a test") for given in (cases, both))
    assert one.ids.tolist() == other.ids.tolist()
    assert (one.first, one.last, one.end) == (other.first, other.last, other.end)
