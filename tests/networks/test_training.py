"""The small training loop: it learns, it leaves ordinary folders, and it can be interrupted."""

from __future__ import annotations

import json

import pytest
import torch
import transformers

from service.errors import BadInput
from service.networks.text_sources import python_reference
from service.networks.training import (
    Recipe,
    log_spaced_steps,
    small_decoder,
    small_encoder,
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

    def pull(done, total):
        if done == 4:
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
