"""Random projections: linear, the same however rows and coordinates are cut, and of the stated mean and variance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import BadInput, BadShape
from service.measures import projection as module
from service.measures.projection import Projection

KINDS = [
    pytest.param({"kind": "sparse", "nonzeros": 1}, id="sparse-1"),
    pytest.param({"kind": "sparse"}, id="sparse-4"),
    pytest.param({"kind": "sparse", "nonzeros": 7}, id="sparse-7"),
    pytest.param({"kind": "rademacher"}, id="rademacher"),
]


def normal(rows, width, seed=0):
    """Standard Gaussian rows."""
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of a few coordinates, so that a small vector has many."""
    monkeypatch.setattr(module, "TILES", {"sparse": 13, "rademacher": 11})
    module._bags.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_its_own_matrix_and_linear(kind, small_tiles):
    projection = Projection(24, seed=3, **kind)
    matrix, rows = projection.matrix(150), normal(6, 150)
    assert matrix.shape == (150, 24)
    assert torch.allclose(projection(rows), rows @ matrix, atol=1e-12)
    assert torch.allclose(
        projection(rows[:3] - 2 * rows[3:]), projection(rows[:3]) - 2 * projection(rows[3:]), atol=1e-12
    )
    assert not projection(torch.zeros(2, 150)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_its_entries_are_the_stated_ones(kind):
    matrix = Projection(24, seed=1, **kind).matrix(300)
    assert torch.allclose(matrix.norm(dim=1), torch.ones(300, dtype=torch.float64))  # a unit vector stays one
    filled = (matrix != 0).sum(1)
    assert set(filled.tolist()) == {24 if kind["kind"] == "rademacher" else kind.get("nonzeros", 4)}
    assert len(matrix[matrix != 0].abs().unique()) == 1
    assert matrix.sign().sum(0).abs().max() < 5 * 300**0.5
    assert len(set(map(tuple, matrix.sign().tolist()))) > 30


def test_a_sparse_coordinate_has_one_place_in_each_block_all_equally_often():
    matrix = Projection(10, kind="sparse", nonzeros=4).matrix(4_000)
    filled = (matrix != 0).double()
    for low, high in ((0, 2), (2, 5), (5, 7), (7, 10)):
        assert torch.equal(filled[:, low:high].sum(1), torch.ones(4_000, dtype=torch.float64))
        assert filled[:, low:high].mean(0).numpy() == pytest.approx(1 / (high - low), abs=0.04)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_neither_rows_nor_parts_nor_tiles_change_it(kind, data):
    projection, rows = Projection(16, seed=5, **kind), normal(5, 400)
    whole = projection(rows)
    row = data.draw(st.integers(1, 4))
    cuts = sorted(data.draw(st.lists(st.integers(0, 400), max_size=4)))
    parts = [rows[:, low:high] for low, high in zip([0, *cuts], [*cuts, 400], strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILES", {name: data.draw(st.integers(1, 500)) for name in module.TILES})
        upper, lower = (projection(*(part[place] for part in parts)) for place in (slice(row), slice(row, None)))
    assert torch.allclose(torch.cat([upper, lower]), whole, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_and_member_say_all(kind):
    rows = normal(2, 70)
    whole = Projection(32, seed=1, member=2, **kind)(rows)
    assert torch.equal(Projection(32, seed=1, member=2, **kind)(rows), whole)
    for seed, member in ((2, 2), (1, 3), (2, 1), (-1, 2)):
        other = Projection(32, seed=seed, member=member, **kind)(rows)
        assert not torch.allclose(other, whole, atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_inner_products_are_kept_in_expectation_with_the_stated_variance(kind):
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((2, 40)) * np.linspace(2, 0.2, 40)
    y += 0.5 * x
    width, draws = 28, 1500
    pair = torch.from_numpy(np.stack([x, y]))
    found = np.array(
        [float(torch.prod(Projection(width, seed=seed, **kind)(pair), dim=0).sum()) for seed in range(draws)]
    )
    variance = ((x @ x) * (y @ y) + (x @ y) ** 2 - 2 * (x**2 * y**2).sum()) / width
    assert found.mean() == pytest.approx(x @ y, abs=4 * (variance / draws) ** 0.5)
    assert found.var() == pytest.approx(variance, rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "out"), [(torch.float32, torch.float32), (torch.bfloat16, torch.float32)])
def test_narrow_rows_are_summed_in_float32(kind, dtype, out):
    rows = (normal(3, 100_000) + 0.5).to(dtype)
    found = Projection(64, **kind)(rows)
    assert found.dtype == out
    exact = Projection(64, **kind)(rows.double())
    assert (
        found - exact
    ).norm() / exact.norm() < 2e-5  # processors add in other orders; a sum in bfloat16 is off by 1e-2


def test_the_numbers_stay_what_they_were():
    """Stored features are compared with new ones: a change of these numbers is a new version of the projection."""
    sparse = Projection(8, seed=7, member=1, nonzeros=2).matrix(3) * 2**0.5
    signs = Projection(8, seed=7, member=1, kind="rademacher").matrix(3) * 8**0.5
    assert sparse.round().int().tolist() == SPARSE
    assert signs.round().int().tolist() == SIGNS


SPARSE = [[0, 0, 0, -1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0, 1, 0], [0, 0, 0, -1, 0, -1, 0, 0]]
SIGNS = [[1, 1, 1, -1, -1, -1, 1, -1], [1, -1, 1, 1, -1, 1, 1, 1], [-1, 1, 1, -1, 1, 1, 1, -1]]


def test_a_width_below_the_non_zeros_is_filled():
    narrow = Projection(3, seed=2, nonzeros=8).matrix(50)
    assert torch.equal(narrow, Projection(3, seed=2, nonzeros=3).matrix(50))
    assert torch.allclose(narrow.abs(), torch.full((50, 3), 3**-0.5, dtype=torch.float64))
    assert Projection(1).matrix(4).abs().tolist() == [[1.0]] * 4


def test_what_cannot_be_is_refused():
    with pytest.raises(BadInput, match=r"^unknown kind of projection 'dense': give sparse or rademacher$"):
        Projection(8, kind="dense")
    with pytest.raises(BadInput, match=r"^a coordinate needs one non-zero at least; got 0$"):
        Projection(3, nonzeros=0)
    with pytest.raises(BadInput, match=r"^a projection needs one dimension at least; got 0$"):
        Projection(0, kind="rademacher")
    with pytest.raises(BadShape, match=r"^the parts of a row need the same rows; got \[2, 3\]$"):
        Projection(8)(torch.zeros(2, 4), torch.zeros(3, 4))
    with pytest.raises(BadShape, match=r"need the same rows; got \[\]$"):
        Projection(8)()
