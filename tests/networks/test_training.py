"""The small training loop: it learns, it leaves ordinary folders, and it can be interrupted."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
import transformers

from service.errors import BadInput
from service.networks.text_sources import python_reference
from service.networks.training import (
    Recipe,
    log_spaced_steps,
    rounded,
    small_decoder,
    small_encoder,
    steps,
    train,
    train_tokenizer,
)

RECIPE = Recipe(6, (0, 2, 6), batch=4, length=32, warmup=2)
TEXTS = python_reference().texts[:10]


@pytest.fixture(scope="module")
def tokenizer():
    """A decoder's tokenizer."""
    return train_tokenizer(TEXTS, 300, "causal")


def weights(folder) -> dict[str, torch.Tensor]:
    """What a checkpoint holds."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder).state_dict()


def same(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def log_of(folder) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("fixture", ["decoder_folder", "encoder_folder"])
def test_training_lowers_the_loss(fixture, request):
    losses = [entry["loss"] for entry in log_of(request.getfixturevalue(fixture))]
    assert len(losses) == 64
    assert sum(losses[-8:]) / 8 < sum(losses[:8]) / 8 - 0.5


def test_the_log_has_every_step_with_its_loss_gradient_and_rate(tokenizer, tmp_path):
    entries = log_of(train(small_decoder(16, 1, len(tokenizer)), tokenizer, TEXTS, tmp_path / "run", RECIPE))
    assert [entry["step"] for entry in entries] == [1, 2, 3, 4, 5, 6]
    rates = [entry["learning_rate"] for entry in entries]
    assert rates[:3] == pytest.approx([5e-4, 1e-3, 1e-3])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert 1e-4 < rates[-1] < 4e-4
    assert all(entry["gradient_norm"] > 0 and entry["loss"] > 0 for entry in entries)


def test_each_step_asked_for_is_an_ordinary_folder(tokenizer, tmp_path):
    folder = train(small_decoder(16, 1, len(tokenizer)), tokenizer, TEXTS, tmp_path / "run", RECIPE)
    assert sorted(path.name for path in folder.iterdir()) == ["step0", "step2", "step6", "training_log.jsonl"]
    assert same(weights(folder / "step0"), small_decoder(16, 1, len(tokenizer)).state_dict())
    assert not same(weights(folder / "step0"), weights(folder / "step2"))
    opened = transformers.AutoTokenizer.from_pretrained(folder / "step2")
    assert opened(TEXTS[0])["input_ids"] == tokenizer(TEXTS[0])["input_ids"]


def test_a_finished_training_is_not_done_again(tokenizer, tmp_path):
    folder = train(small_decoder(16, 1, len(tokenizer)), tokenizer, TEXTS, tmp_path / "run", RECIPE)
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    told = []
    train(small_decoder(16, 1, len(tokenizer)), tokenizer, TEXTS, folder, RECIPE, lambda *so_far: told.append(so_far))
    assert told == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == written


def test_an_interrupted_training_ends_in_the_same_weights(tokenizer, tmp_path):
    class PulledPlug(Exception):
        pass

    def pull(made):
        if made.step == 4:
            raise PulledPlug

    whole = train(small_decoder(16, 1, len(tokenizer)), tokenizer, TEXTS, tmp_path / "whole", RECIPE)
    with pytest.raises(PulledPlug):
        train(small_decoder(16, 1, len(tokenizer)), tokenizer, TEXTS, tmp_path / "cut", RECIPE, pull)
    (tmp_path / "cut" / ".step6.draft").mkdir()
    assert not (tmp_path / "cut" / "step6").exists()
    cut = train(small_decoder(16, 1, len(tokenizer)), tokenizer, TEXTS, tmp_path / "cut", RECIPE)
    for step in ("step0", "step2", "step6"):
        assert same(weights(whole / step), weights(cut / step))
    assert not (cut / ".step6.draft").exists()
    assert log_of(cut) == log_of(whole)


def made(tokenizer, **changes):
    recipe = replace(RECIPE, **changes)
    return list(steps(small_decoder(16, 1, len(tokenizer)), tokenizer, TEXTS, recipe, update_norms=True))


def test_a_growing_rate_grows_and_without_clipping_the_update_is_another(tokenizer):
    plain = made(tokenizer, final_share=1.0)
    grown = made(tokenizer, final_share=1.0, rate_growth=2.0)
    ratios = [one.learning_rate / other.learning_rate for one, other in zip(grown, plain, strict=True)]
    assert ratios == pytest.approx([1, 2, 4, 8, 16, 32])
    assert grown[5].update_norm > 5 * plain[5].update_norm
    clipped, free = made(tokenizer, clip=1e-3), made(tokenizer, clip=None)
    assert clipped[0].gradient_norm == pytest.approx(free[0].gradient_norm)
    assert clipped[3].loss != free[3].loss


def test_the_update_norm_is_how_far_all_weights_went(tokenizer):
    module = small_decoder(16, 1, len(tokenizer))
    before = torch.cat([weight.detach().clone().flatten() for weight in module.parameters()])
    taken = next(steps(module, tokenizer, TEXTS, RECIPE, update_norms=True))
    after = torch.cat([weight.detach().flatten() for weight in module.parameters()])
    assert taken.update_norm == pytest.approx((after - before).norm().item(), rel=1e-5)
    assert next(steps(module, tokenizer, TEXTS, RECIPE)).update_norm is None


def test_bad_batches_are_of_random_tokens_which_nobody_can_learn(tokenizer):
    losses = [step.loss for step in made(tokenizer, steps=60, bad_batches=1.0, learning_rate=1e-2)]
    assert min(losses) > 0.95 * math.log(len(tokenizer))
    assert made(tokenizer, steps=60, learning_rate=1e-2)[-1].loss < 0.8 * math.log(len(tokenizer))


def test_rounded_weights_have_so_many_bits_and_seven_are_bfloat16(tokenizer):
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(1000, generator=draw) * torch.logspace(-6, 6, 1000)
    assert torch.equal(rounded(weight, 7), weight.bfloat16().float())
    assert rounded(torch.tensor([1.3, -2.6, 0.0, torch.inf]), 1).tolist() == [1.5, -3.0, 0.0, math.inf]
    module = small_decoder(16, 1, len(tokenizer))
    list(steps(module, tokenizer, TEXTS, replace(RECIPE, mantissa_bits=3)))
    assert all(torch.equal(rounded(weight, 3), weight) for weight in module.parameters())


def test_a_seed_gives_its_weights_and_leaves_the_process_its_own(tokenizer):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same_seed, other = (small_encoder(16, 1, 300, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert same(one, same_seed)
    assert not same(one, other)


@pytest.mark.parametrize(
    ("last", "steps"), [(1, (0, 1)), (8, (0, 1, 2, 4, 8)), (100, (0, 1, 2, 4, 8, 16, 32, 64, 100))]
)
def test_steps_are_spaced_like_pythias(last, steps):
    assert log_spaced_steps(last) == steps


def test_too_little_text_is_refused(tokenizer, tmp_path):
    with pytest.raises(BadInput, match=r"^training needs 64 tokens of text or more; got 3$"):
        train(small_decoder(16, 1, len(tokenizer)), tokenizer, ["ab"], tmp_path / "run", RECIPE)


def test_tokenizers_know_their_own_tokens_and_lose_no_text():
    decoder, encoder = (train_tokenizer(TEXTS, 300, objective) for objective in ("causal", "masked"))
    text = "naïve → `code` 漢字\n\tend"
    assert decoder.decode(decoder(text)["input_ids"]) == text
    assert encoder.decode(encoder(text)["input_ids"], skip_special_tokens=True) == text
    assert decoder.eos_token_id not in decoder(text)["input_ids"]
    assert encoder.mask_token_id in encoder("a [MASK] b")["input_ids"]
    assert (len(decoder), len(encoder)) == (300, 300)
