"""The path of the layers: hand-computed values, laws, and standard errors against a bootstrap."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.measures.layer_path import DECLARED, NAMES, layer_path
from service.measures.layered import Layered


def clouds_of(states, texts=None):
    """Clouds whose tokens are ten a text, unless it is said which text each is from."""
    points = states.shape[1]
    place = torch.arange(points)
    text = place // 10 if texts is None else texts
    return Layered(tuple(range(len(states))), states, text, place % 10, place % 10, text)


def path_of(centroids, spread=0.0, points=40, seed=0):
    """Clouds around given centroids, (layers, width)."""
    draw = torch.Generator().manual_seed(seed)
    centroids = torch.as_tensor(centroids, dtype=torch.float64)
    noise = torch.randn(len(centroids), points, centroids.shape[1], generator=draw, dtype=torch.float64)
    return clouds_of(centroids[:, None] + spread * (noise - noise.mean(1, keepdim=True)))


def values(clouds, name):
    return [layer[name].value for layer in layer_path(clouds)]


def sample(seed, layers=4, points=60, width=5):
    """Clouds that move and widen, whose tokens share something within a text."""
    draw = torch.Generator().manual_seed(seed)
    shared = torch.randn(layers, points // 10, width, generator=draw, dtype=torch.float64).repeat_interleave(10, 1)
    own = torch.randn(layers, points, width, generator=draw, dtype=torch.float64)
    depth = torch.arange(1.0, layers + 1, dtype=torch.float64)[:, None, None]
    drift = torch.randn(layers, 1, width, generator=draw, dtype=torch.float64).cumsum(0)
    return clouds_of(2 * drift + depth * (own + 0.5 * shared))


def test_values_by_hand():
    # Two points each: centroids (1, 0), (1, 3), (5, 3); spreads 1, 2 and 0.
    first, second, third = [[0.0, 0], [2, 0]], [[1.0, 1], [1, 5]], [[5.0, 3], [5, 3]]
    found = layer_path(clouds_of(torch.tensor([first, second, third])))
    assert [layer["drift_step"].value for layer in found] == [3, 4, None]
    assert [layer["drift_angle"].value for layer in found] == [None, pytest.approx(90), None]
    assert [layer["drift_spread"].value for layer in found] == [1, 2, 0]
    assert [layer["drift_step_over_spread"].value for layer in found] == [3, 2, None]
    assert {estimate.n_used for layer in found for estimate in layer.values()} == {2}


@pytest.mark.parametrize(
    ("centroids", "angle"),
    [
        ([[0, 0, 0], [1, 2, 3], [3, 6, 9]], 0),
        ([[0, 0, 0], [1, 0, 0], [1, 7, 0]], 90),
        ([[0, 0, 0], [1, 0, 0], [0, 0, 0]], 180),
        ([[0, 0, 0], [1, 0, 0], [2, 1, 0]], 45),
    ],
)
def test_the_angle_of_a_known_bend(centroids, angle):
    assert values(path_of(centroids, spread=1), "drift_angle")[1] == pytest.approx(angle, abs=1e-5)


def test_identical_layers_are_a_path_of_no_length():
    cloud = torch.randn(1, 40, 3, generator=torch.Generator().manual_seed(0))
    found = layer_path(clouds_of(cloud.repeat(3, 1, 1)))
    assert [layer["drift_step"].value for layer in found[:2]] == [0, 0]
    assert [layer["drift_step_over_spread"].value for layer in found[:2]] == [0, 0]
    assert found[1]["drift_angle"].note == "a step of no length has no direction"


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_turning_and_moving_change_nothing_and_scaling_scales(seed):
    clouds, draw = sample(seed), torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=draw, dtype=torch.float64)).Q
    moved = clouds.with_states(clouds.states @ turn + 100 * torch.randn(5, generator=draw, dtype=torch.float64))
    scaled = clouds.with_states(7 * clouds.states)
    for before, after, larger in zip(layer_path(clouds), layer_path(moved), layer_path(scaled), strict=True):
        for name in NAMES:
            factor = 7 if name in ("drift_step", "drift_spread") else 1
            for field in ("value", "std_error"):
                expected = getattr(before[name], field)
                if expected is None:
                    assert getattr(after[name], field) is getattr(larger[name], field) is None
                else:
                    assert getattr(after[name], field) == pytest.approx(expected, rel=1e-6), name
                    assert getattr(larger[name], field) == pytest.approx(factor * expected, rel=1e-9), name


def test_the_order_of_the_tokens_does_not_matter():
    clouds = sample(1)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    mixed = clouds_of(clouds.states[:, order], clouds.text[order])
    for before, after in zip(layer_path(clouds), layer_path(mixed), strict=True):
        for name in NAMES:
            assert after[name].value == pytest.approx(before[name].value)
            assert after[name].std_error == pytest.approx(before[name].std_error)


def test_a_stretched_space_does_change_the_path():
    clouds = sample(2)
    stretched = clouds.with_states(clouds.states * torch.tensor([5.0, 1, 1, 1, 1], dtype=torch.float64))
    assert values(stretched, "drift_angle")[1] != pytest.approx(values(clouds, "drift_angle")[1], rel=1e-3)


def test_the_standard_errors_are_those_of_a_bootstrap_over_texts():
    clouds = sample(5, points=800)
    found, draw = layer_path(clouds), torch.Generator().manual_seed(0)
    texts, drawn = clouds.text.max().item() + 1, []
    for _ in range(300):
        chosen = torch.randint(texts, (texts,), generator=draw)
        tokens = (chosen[:, None] * 10 + torch.arange(10)).flatten()
        drawn.append(layer_path(clouds_of(clouds.states[:, tokens], torch.arange(texts).repeat_interleave(10))))
    for layer, measured in enumerate(found):
        for name in NAMES:
            if measured[name].value is not None:
                spread = torch.tensor([one[layer][name].value for one in drawn]).std().item()
                assert measured[name].std_error == pytest.approx(spread, rel=0.25), (layer, name)
    # Tokens that stood alone would seem to know more.
    alone = layer_path(clouds_of(clouds.states, torch.arange(800)))
    assert alone[0]["drift_step"].std_error < 0.8 * found[0]["drift_step"].std_error


def test_an_undefined_value_says_why():
    found = layer_path(path_of([[0.0, 0], [1, 0], [1, 1]]))
    assert found[0]["drift_angle"].note == "there is no earlier layer"
    assert found[2]["drift_angle"].note == found[2]["drift_step"].note == "there is no deeper layer"
    assert found[0]["drift_step_over_spread"].note == "the points of this layer do not differ"
    empty = layer_path(sample(0).where(torch.zeros(60, dtype=torch.bool)))
    assert {estimate.note for layer in empty for estimate in layer.values()} == {"no token is left"}


def test_a_straight_path_has_an_angle_without_an_error():
    angle = layer_path(path_of([[0.0, 0], [1, 0], [2, 0]]))[1]["drift_angle"]
    assert (angle.value, angle.std_error) == (0, None)


def test_every_measure_declares_itself():
    assert {(one.subject, one.lower) for one in DECLARED} == {("layer", 0.0)}
    assert all(one.unit and one.source and one.std_error for one in DECLARED)
