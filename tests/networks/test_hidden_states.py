"""Extraction: every number against a slow and direct computation in which each text goes through the network alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny_networks import saved

from service.errors import BadInput, NetworkMismatch
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import Choice, open_dataset
from service.networks.hidden_states import extract
from service.networks.losses import hidden_tokens
from service.networks.text_sources import python_reference
from service.networks.training import train_tokenizer
from service.subjects import POSITIONS

TOKENS = 4000
SAMPLE = 300


def items(tokens=TOKENS):
    """Few windows of text, of different lengths."""
    return open_dataset("python-reference", tokens=tokens, window=180)


def alone(network):
    """Every token's states by depth, in float64, with its position and whether it is special: no batch and no padding."""
    states, position, special = {}, [], []
    for window in items().windows(network.tokenizer):
        with (
            torch.no_grad(),
            network.blocks.capturing(lambda depth, state: states.setdefault(depth, []).append(state[0])),
        ):
            network.module(torch.from_numpy(window.token_ids)[None])
        position.append(torch.arange(len(window)))
        special.append(torch.from_numpy(window.special))
    return {depth: torch.cat(held).double() for depth, held in states.items()}, torch.cat(position), torch.cat(special)


@pytest.fixture(scope="module", params=["decoder", "encoder"])
def network(request):
    """Both trained networks."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def summaries(network):
    """What extraction finds, in batches with padding."""
    return extract(network, items(), sample=SAMPLE, batch_size=7)


def kept(positions, position, special):
    """Which tokens a filter keeps."""
    return {"all": position >= 0, "not-first": position > 0, "not-special": ~special}[positions]


def test_moments_of_every_site_and_filter_are_those_of_all_tokens_without_padding(network, summaries):
    states, position, special = alone(network)
    assert len({len(window) for window in items().windows(network.tokenizer)}) > 3
    for summary in summaries:
        for positions in POSITIONS:
            cloud = states[summary.site.layer][kept(positions, position, special)]
            away = cloud - cloud.mean(0)
            spectrum = torch.linalg.eigvalsh(away.T @ away / len(cloud)).flip(0)
            found = summary.moments[positions]
            assert found.tokens == len(cloud)
            torch.testing.assert_close(found.mean, cloud.mean(0), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found.spectrum, spectrum, rtol=1e-3, atol=1e-6)


def test_sampled_states_are_those_of_their_tokens(network, summaries):
    windows = {window.item_id: window for window in items().windows(network.tokenizer)}
    for summary in summaries:
        sample = summary.sample
        for row in range(0, SAMPLE, 29):
            window, position = windows[int(sample.item_id[row])], int(sample.position[row])
            states = {}
            with torch.no_grad(), network.blocks.capturing(states.__setitem__):
                network.module(torch.from_numpy(window.token_ids)[None])
            torch.testing.assert_close(
                summary.states[row], states[summary.site.layer][0, position], rtol=1e-4, atol=1e-5
            )
            assert int(sample.token_id[row]) == window.token_ids[position]
            assert int(sample.char_end[row]) == window.char_end[position]
            assert bool(sample.special[row]) == window.special[position]


def test_all_sites_keep_the_same_tokens_ordered_by_item_and_position(summaries):
    first = summaries[0].sample
    order = (first.item_id * 10_000 + first.position).tolist()
    assert order == sorted(order)
    assert len(order) == SAMPLE
    for summary in summaries:
        assert torch.equal(summary.sample.item_id, first.item_id)
        assert torch.equal(summary.sample.position, first.position)
        assert summary.states.shape == (SAMPLE, 32)


def test_a_sample_of_twice_the_size_holds_the_same_states(network, summaries):
    double = extract(network, items(), sample=2 * SAMPLE, batch_size=7)[2]
    rows = list(zip(double.sample.item_id.tolist(), double.sample.position.tolist(), strict=True))
    row_of = {place: row for row, place in enumerate(rows)}
    small = summaries[2].sample
    where = [row_of[place] for place in zip(small.item_id.tolist(), small.position.tolist(), strict=True)]
    assert torch.equal(double.states[where], summaries[2].states)


def test_batch_size_changes_no_result(network, summaries):
    for one, other in zip(summaries, extract(network, items(), sample=SAMPLE, batch_size=1), strict=True):
        torch.testing.assert_close(one.states, other.states, rtol=1e-4, atol=1e-5)
        assert one.tokens_seen == other.tokens_seen
        for positions in POSITIONS:
            assert one.moments[positions].tokens == other.moments[positions].tokens
            torch.testing.assert_close(
                one.moments[positions].spectrum, other.moments[positions].spectrum, rtol=1e-3, atol=1e-6
            )
        assert one.loss.tokens == other.loss.tokens
        assert one.loss.loss == pytest.approx(other.loss.loss, rel=1e-5)


def test_what_stands_under_the_padding_changes_nothing(network, summaries):
    def scribble(module, args, kwargs):
        kwargs["input_ids"][kwargs["attention_mask"] == 0] = 77

    hook = network.module.register_forward_pre_hook(scribble, with_kwargs=True)
    try:
        scribbled = extract(network, items(), sample=SAMPLE, batch_size=7)
    finally:
        hook.remove()
    for mine, other in zip(summaries, scribbled, strict=True):
        assert torch.equal(mine.states, other.states)
        assert torch.equal(mine.moments["all"].spectrum, other.moments["all"].spectrum)
        assert mine.loss == other.loss


def test_a_decoders_loss_is_hugging_faces(decoder):
    nats, tokens = 0.0, 0
    for window in items().windows(decoder.tokenizer):
        ids = torch.from_numpy(window.token_ids)[None]
        with torch.no_grad():
            nats += float(decoder.module(ids, labels=ids).loss) * (len(window) - 1)
        tokens += len(window) - 1
    found = extract(decoder, items(), sample=SAMPLE)[0].loss
    assert (found.tokens, found.loss) == (tokens, pytest.approx(nats / tokens, rel=1e-5))


def test_an_encoders_loss_is_that_of_masked_tokens(encoder, encoder_folder):
    trained = extract(encoder, items(), sample=SAMPLE)[0].loss
    untrained = extract(load(find_checkpoints(str(encoder_folder))[0], device="cpu"), items(), sample=SAMPLE)[0].loss
    assert untrained.loss == pytest.approx(math.log(400), rel=0.03)
    assert trained.loss < untrained.loss - 0.3


def test_masked_tokens_are_guessed_from_all_others(encoder):
    nats, hidden_in_all, plain = 0.0, 0, 0
    for window in items().windows(encoder.tokenizer):
        hidden, ids = torch.from_numpy(hidden_tokens(window))[None], torch.from_numpy(window.token_ids)[None]
        assert not (hidden[0] & torch.from_numpy(window.special)).any()
        if hidden.any():
            masked = ids.masked_fill(hidden, encoder.tokenizer.mask_token_id)
            with torch.no_grad():
                loss = encoder.module(masked, labels=ids.masked_fill(~hidden, -100)).loss
            nats += float(loss) * int(hidden.sum())
        hidden_in_all += int(hidden.sum())
        plain += int((~window.special).sum())
    found = extract(encoder, items(), sample=SAMPLE)[0].loss
    assert (found.tokens, found.loss) == (hidden_in_all, pytest.approx(nats / hidden_in_all, rel=1e-5))
    assert 0.12 < hidden_in_all / plain < 0.18


def test_a_network_without_a_head_has_no_loss(tmp_path, encoder):
    encoder.module.base_model.save_pretrained(tmp_path / "headless")
    encoder.tokenizer.save_pretrained(tmp_path / "headless")
    headless = load(find_checkpoints(str(tmp_path / "headless"))[0], device="cpu")
    found = extract(headless, items(), sample=SAMPLE)
    assert found[0].loss is None
    assert len(found) == 5


def test_states_that_are_no_numbers_are_counted_and_kept_nowhere(decoder_folder):
    network = load(find_checkpoints(str(decoder_folder))[-1], device="cpu")
    with torch.no_grad():
        network.module.base_model.embed_in.weight[40] = torch.nan
    windows = items().windows(network.tokenizer)
    hit = sum(int((window.token_ids == 40).sum()) for window in windows)
    found = extract(network, items(), sample=SAMPLE, batch_size=7)
    assert hit > 0
    assert (found[0].non_finite, found[0].moments["all"].tokens) == (hit, found[0].tokens_seen - hit)
    for summary in found:
        assert torch.isfinite(summary.states).all()
        assert torch.isfinite(summary.moments["all"].spectrum).all()
        assert len(summary.states) == len(summary.sample.item_id)
    assert found[2].non_finite > hit  # later tokens look at it
    assert found[0].loss is None


def test_a_network_of_nothing_but_nan_has_no_states_and_the_sites_of_any_other(decoder_folder, tmp_path):
    network = load(find_checkpoints(str(decoder_folder))[-1], device="cpu")
    with torch.no_grad():
        for weights in network.module.parameters():
            weights.fill_(torch.nan)
    network.module.save_pretrained(tmp_path / "nan")
    network.tokenizer.save_pretrained(tmp_path / "nan")
    broken = load(find_checkpoints(str(tmp_path / "nan"))[0], device="cpu")
    assert broken.sites == network.sites
    found = extract(broken, items(), sample=SAMPLE)
    assert [summary.non_finite for summary in found] == [found[0].tokens_seen] * len(network.sites)
    assert [(len(summary.states), dict(summary.moments)) for summary in found] == [(0, {})] * len(network.sites)


def test_fewer_tokens_than_the_sample_are_refused_before_any_pass(decoder, monkeypatch):
    monkeypatch.setattr(type(decoder.module), "forward", None)
    with pytest.raises(
        BadInput, match=r"^the sample asks for 9000 tokens, and python-reference\S+ has 40\d\d .*--sample 40"
    ):
        extract(decoder, items(), sample=9000)


def test_a_tokenizer_of_another_network_is_refused(decoder, tmp_path):
    decoder.module.save_pretrained(tmp_path / "mixed")
    train_tokenizer(python_reference().texts[:10], 700, "causal").save_pretrained(tmp_path / "mixed")
    mixed = load(find_checkpoints(str(tmp_path / "mixed"))[0], device="cpu")
    with pytest.raises(
        NetworkMismatch, match=r" embeds 400 tokens, and its tokenizer gives token 6\d\d: it is not its own$"
    ):
        extract(mixed, items(), sample=SAMPLE)


def test_progress_is_told_in_tokens_up_to_all_of_them(decoder):
    told = []
    found = extract(decoder, items(), sample=SAMPLE, batch_size=7, on_progress=lambda *so_far: told.append(so_far))
    assert told == sorted(told)
    assert told[-1] == (found[0].tokens_seen, found[0].tokens_seen)
    assert len(told) > 2


def test_a_batch_that_memory_does_not_hold_is_halved(decoder):
    sizes = []

    def cramped(module, args, kwargs):
        sizes.append(len(kwargs["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("no more")

    expected = extract(decoder, items(), sample=SAMPLE)
    hook = decoder.module.register_forward_pre_hook(cramped, with_kwargs=True)
    try:
        found = extract(decoder, items(), sample=SAMPLE)
        assert sizes[:3] == [8, 4, 2]
        torch.testing.assert_close(found[3].states, expected[3].states, rtol=1e-4, atol=1e-5)
        with pytest.raises(BadInput, match=r"^cpu has too little memory for batches of 5 windows: give a smaller"):
            extract(decoder, items(), sample=SAMPLE, batch_size=5)
    finally:
        hook.remove()


@pytest.mark.parametrize(("dtype", "kept"), [("bfloat16", torch.float32), ("float16", torch.float16)])
def test_states_keep_the_precision_they_were_computed_in(decoder_folder, dtype, kept):
    network = load(find_checkpoints(str(decoder_folder))[-1], device="cpu", dtype=dtype)
    found = extract(network, items(1000), sample=100)
    assert network.facts.dtype == dtype
    assert {summary.states.dtype for summary in found} == {kept}
    assert found[0].moments["all"].spectrum.dtype == torch.float64


def test_a_token_that_is_the_first_and_no_special_one_is_among_the_not_special(decoder, encoder):
    plain, framed = (extract(each, items(), sample=SAMPLE)[0].moments for each in (decoder, encoder))
    windows = len(items().windows(decoder.tokenizer))
    assert plain["all"].tokens - plain["not-first"].tokens == windows
    assert plain["not-special"] is plain["all"]
    windows = len(items().windows(encoder.tokenizer))
    assert framed["all"].tokens - framed["not-first"].tokens == windows
    assert framed["all"].tokens - framed["not-special"].tokens == 2 * windows


def test_states_of_another_width_at_the_final_site_are_kept_as_they_are(tmp_path):
    network = load(find_checkpoints(str(saved("opt-projected", tmp_path / "opt")))[0], device="cpu")
    assert [summary.states.shape[1] for summary in extract(network, items(), sample=50)] == [32, 32, 32, 32, 16]


def test_the_last_token_of_each_text_alone_is_kept_where_that_is_asked(decoder_folder):
    network = load(find_checkpoints(str(decoder_folder), ["step64"])[0], device="cpu")
    choice = Choice(texts=7, length=9)
    whole = extract(network, open_dataset("python-reference", choice=choice), 4096)
    last = extract(network, open_dataset("python-reference", choice=replace(choice, last=True)), 4096)
    assert (len(whole[0].states), len(last[0].states)) == (63, 7)
    assert last[2].sample.position.tolist() == [8] * 7
    assert torch.allclose(last[2].states, whole[2].states[whole[2].sample.position == 8], atol=1e-5)
    assert last[2].moments["all"].tokens == 63
