"""Moments in batches are the moments of everything at once, in float64."""

from __future__ import annotations

import pytest
import torch

from service.networks.streamed_moments import CLASSES, StreamedMoments

KEPT = {"all": {0, 1, 2, 3}, "not-first": {2, 3}, "not-special": {1, 3}}


def points(count: int = 600, width: int = 24) -> torch.Tensor:
    """A seeded cloud with a falling spectrum and a mean."""
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, width, generator=draw) * torch.arange(1, width + 1) ** -0.5 + 3


def kinds(count: int = 600) -> torch.Tensor:
    """A position class for each point, and -1 (padding) for some."""
    return torch.randint(-1, 4, (count,), generator=torch.Generator().manual_seed(2))


def streamed(states: torch.Tensor, kind: torch.Tensor, batch: int = 64) -> StreamedMoments:
    """The moments after taking in the points batch by batch."""
    moments = StreamedMoments()
    for start in range(0, len(states), batch):
        part = kind[start : start + batch]
        moments.add(states[start : start + batch], [torch.where(part == place)[0] for place in range(len(CLASSES))])
    return moments


def direct(states: torch.Tensor, keep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spectrum of the kept points, in float64, all at once."""
    chosen = states[keep].double()
    away = chosen - chosen.mean(0)
    return chosen.mean(0), torch.linalg.eigvalsh(away.T @ away / len(chosen)).flip(0)


@pytest.mark.parametrize("positions", KEPT)
def test_moments_under_each_filter_are_those_of_the_kept_points(positions):
    states, kind = points(), kinds()
    keep = torch.isin(kind, torch.tensor(sorted(KEPT[positions])))
    found = streamed(states, kind).by_positions()[positions]
    mean, spectrum = direct(states, keep)
    assert found.tokens == int(keep.sum())
    assert found.mean.dtype == found.spectrum.dtype == torch.float64
    torch.testing.assert_close(found.mean, mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.spectrum, spectrum, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batch", [7, 600])
def test_batch_size_does_not_change_the_moments(batch):
    states, kind = points(), kinds()
    one, other = (streamed(states, kind, size).by_positions()["all"] for size in (64, batch))
    torch.testing.assert_close(one.spectrum, other.spectrum, rtol=1e-5, atol=1e-8)


def test_a_huge_coordinate_shared_by_all_tokens_hides_nothing_of_the_rest():
    states, kind = points(), kinds()
    shifted = states.clone()
    shifted[:, 5] += 30_000
    plain, massive = streamed(states, kind).by_positions(), streamed(shifted, kind).by_positions()
    torch.testing.assert_close(massive["all"].spectrum, plain["all"].spectrum, rtol=2e-3, atol=1e-5)


def test_massive_first_tokens_do_not_blur_the_tokens_after_them():
    states, kind = points(), kinds()
    massive = states.clone()
    massive[kind < 2] += 30_000 * torch.nn.functional.one_hot(torch.tensor(5), 24)
    plain, found = streamed(states, kind).by_positions(), streamed(massive, kind).by_positions()
    torch.testing.assert_close(found["not-first"].spectrum, plain["not-first"].spectrum, rtol=1e-6, atol=0)
    assert found["all"].spectrum[0] > 1e7 * plain["all"].spectrum[0]


def test_states_that_are_no_numbers_are_counted_and_left_out():
    states, kind = points(), kinds()
    broken = states.clone()
    broken[3, 2], broken[500, 0], broken[501] = torch.nan, torch.inf, -torch.inf
    kind[[3, 500, 501]] = 3
    left = kind.clone()
    left[[3, 500, 501]] = -1
    found, expected = streamed(broken, kind), streamed(states, left)
    assert (found.non_finite, expected.non_finite) == (3, 0)
    mean, spectrum = direct(states, left >= 0)
    torch.testing.assert_close(found.by_positions()["all"].spectrum, spectrum, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.by_positions()["all"].mean, mean, rtol=1e-6, atol=1e-6)


def test_a_first_batch_without_one_finite_state_does_no_harm():
    states, kind = points(), torch.full((600,), 3)
    states[:64] = torch.nan
    found = streamed(states, kind)
    torch.testing.assert_close(
        found.by_positions()["all"].spectrum, direct(states, torch.arange(600) >= 64)[1], rtol=1e-4, atol=1e-6
    )
    assert found.non_finite == 64


def test_a_filter_that_keeps_nothing_has_no_moments():
    moments = streamed(points(), torch.full((600,), CLASSES.index("first")))
    assert sorted(moments.by_positions()) == ["all", "not-special"]


def test_filters_that_keep_the_same_tokens_share_one_spectrum():
    kind = torch.where(torch.arange(600) % 9 == 0, CLASSES.index("first"), CLASSES.index("rest"))
    found = streamed(points(), kind).by_positions()
    assert found["all"] is found["not-special"]
    assert found["not-first"] is not found["all"]
