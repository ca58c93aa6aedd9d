"""What is computed of one site, before any flow or database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from service.errors import BadInput
from service.experiments.layer_question import Question, Wish, ask, asked_sites
from service.experiments.measure_layers import layer_results, sites_of
from service.measures import find
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.hidden_states import extract
from service.results import Summary


@pytest.fixture(scope="module")
def decoder(decoder_folder: Path) -> list[Summary]:
    """Every site of the trained decoder at its last step."""
    (source,) = find_checkpoints(str(decoder_folder), ["step64"])
    return extract(load(source, device="cpu"), open_dataset("python-reference"), 512)


@pytest.fixture(scope="module")
def encoder(encoder_folder: Path) -> list[Summary]:
    """Every site of the trained encoder at its last step."""
    (source,) = find_checkpoints(str(encoder_folder), ["step64"])
    return extract(load(source, device="cpu"), open_dataset("python-reference"), 512)


def wishes(name: str) -> list[Wish]:
    return [Wish(find(name), "corrected", positions) for positions in ("all", "not-first", "not-special")]


def test_a_network_has_as_many_sites_as_its_facts_say(decoder: list[Summary], encoder: list[Summary]) -> None:
    assert len(decoder) == sites_of(decoder[0].facts) == 5
    assert len(encoder) == sites_of(encoder[0].facts) == 5
    assert sites_of(replace(encoder[0].facts, normed_entry=None)) == 4


def test_position_filters_of_a_decoder_without_special_tokens_differ_in_the_first_token_alone(
    decoder: list[Summary],
) -> None:
    found = {result.variant: result.estimate.value for result in layer_results(decoder[2], None, wishes("anisotropy"))}
    assert found["corrected/all"] == found["corrected/not-special"] != found["corrected/not-first"]


def test_an_encoders_special_tokens_are_left_out_where_they_should_be(encoder: list[Summary]) -> None:
    results = {result.variant: result.estimate for result in layer_results(encoder[2], None, wishes("norm_mean"))}
    kept = encoder[2].sample
    assert results["corrected/all"].n_used == 512
    assert results["corrected/not-special"].n_used == int((~kept.special).sum()) < 512
    direct = encoder[2].states[~kept.special].double().norm(dim=1).mean().item()
    assert results["corrected/not-special"].value == pytest.approx(direct, rel=1e-6)


def test_linearity_compares_with_the_layer_before_and_says_so_where_there_is_none(decoder: list[Summary]) -> None:
    first = layer_results(decoder[0], None, wishes("linearity"))[0].estimate
    assert first.value is None
    assert first.note == "there is no earlier layer to compare with"
    later = layer_results(decoder[2], decoder[1], wishes("linearity"))[0].estimate
    x, y = (summary.states.double() - summary.states.double().mean(0) for summary in (decoder[1], decoder[2]))
    residual = y - x @ torch.linalg.lstsq(x, y, driver="gelsd").solution
    assert later.value == pytest.approx(1 - (residual.square().sum() / y.square().sum()).item(), abs=1e-6)


def test_layers_are_asked_for_by_depth_and_refused_by_name(decoder: list[Summary]) -> None:
    sites = [summary.site for summary in reversed(decoder)]
    assert [site.layer for site in asked_sites(sites, frozenset({3, 1}))] == [1, 3]
    with pytest.raises(BadInput, match="layer 7 is not there: tiny-decoder has layers 0 to 4"):
        asked_sites(sites, frozenset({7}))


def test_the_released_procedures_are_asked_for_beside_the_corrected_ones() -> None:
    question: Question = ask("random-tokens", ["twonn", "mle"], as_released=True)
    found = [(wish.measure.name, wish.prefix) for wish in question.wishes]
    assert ("twonn", "released/all") in found
    assert ("mle", "released/all") not in found
    assert found[0] == ("mle", "corrected/all")  # the most neighbours come first
