"""Which dimensions decide: by hand, against the Gaussian line, and out of range."""

from __future__ import annotations

import pytest
import torch
from clouds import some_clouds
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadShape
from service.measures import dimension_contribution as dimensions


@given(st.integers(0, 1000), st.integers(2, 40))
def test_the_contributions_of_a_layer_sum_to_100(seed, width):
    weights = torch.randn(3, width, generator=torch.Generator().manual_seed(seed))
    assert dimensions.contributions(weights).sum(1).tolist() == pytest.approx([100.0] * 3)


def test_contributions_are_counted_by_hand():
    shares = dimensions.contributions(torch.tensor([[3.0, -1.0, 0.0], [1.0, 1.0, 2.0]]))
    assert shares.tolist() == [[75.0, 25.0, 0.0], [25.0, 25.0, 50.0]]
    assert dimensions.top_dimensions(shares, 1).tolist() == [[0], [2]]


def test_a_mask_sets_the_dimensions_of_every_state_and_no_other():
    clouds = some_clouds()
    mean = torch.arange(6.0)
    for by, expected in ((0.0, [0.0, 0.0]), (mean, [1.0, 4.0])):
        found = dimensions.masked(clouds, torch.tensor([1, 4]), by)
        assert (found.states[:, :, [1, 4]] == torch.tensor(expected)).all()
        assert torch.equal(found.states[:, :, [0, 2, 3, 5]], clouds.states[:, :, [0, 2, 3, 5]])


def test_overlap_is_the_shared_part():
    first, second = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[3, 2, 9], [4, 5, 6]])
    assert dimensions.overlap(first, second) == [pytest.approx(2 / 3), 1.0]


@pytest.mark.parametrize("strange", [-1, 64])
def test_a_dimension_out_of_range_is_refused(strange):
    with pytest.raises(BadShape, match=rf"^dimension {strange} is out of range: the states have dimensions 0 to 63$"):
        dimensions.refuse_dimensions([3, strange], 64)
