"""Scores of edits: by hand, and standard errors against how values really scatter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from service.errors import BadInput, BadShape
from service.measures.edit_scores import (
    agreement,
    corrected_share,
    errors_corrected,
    share_met,
)


def marks(*values):
    return torch.tensor(values, dtype=torch.bool)


def test_the_share_that_is_met_and_its_binomial_error():
    found = share_met(marks(1, 1, 1, 0))
    assert (found.value, found.n_used) == (0.75, 4)
    assert found.std_error == pytest.approx((0.75 * 0.25 / 4) ** 0.5)
    assert share_met(marks(1, 1)).std_error == 0
    nothing = share_met(marks())
    assert (nothing.value, nothing.note) == (None, "there are no cases")


def test_cases_of_one_text_that_rise_and_fall_together_count_as_one():
    alone = torch.rand(40, generator=torch.Generator().manual_seed(0)) < 0.6
    found = share_met(alone.repeat_interleave(5), torch.arange(40).repeat_interleave(5))
    assert found.value == share_met(alone).value
    assert found.std_error == pytest.approx(share_met(alone).std_error * (40 / 39) ** 0.5)
    assert found.std_error > 2 * share_met(alone.repeat_interleave(5)).std_error


def test_agreement_is_the_share_that_both_tell_alike():
    found = agreement(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 5]))
    assert (found.value, found.n_used) == (0.75, 4)
    assert agreement(torch.tensor([7, 7]), torch.tensor([7, 7])).value == 1
    with pytest.raises(BadShape, match="both networks' answers to each case; got 1 and 2"):
        agreement(torch.tensor([1]), torch.tensor([1, 2]))


def test_errors_corrected_by_hand():
    assert corrected_share(0.4, 0.1) == pytest.approx(0.75)
    assert corrected_share(0.4, 0.4) == 0
    assert corrected_share(0.1, 0.15) == pytest.approx(-0.5)
    assert corrected_share(0.1, 0.9) == -1
    assert corrected_share(0.0, 0.0) == 0
    assert corrected_share(0.0005, 0.0) == pytest.approx(0.5)  # counts as one in a thousand
    assert corrected_share(0.0, 0.0004) == pytest.approx(-0.4)
    with pytest.raises(BadInput, match=r"shares of errors from 0 to 1; got 40\.0 before and 0\.1 after"):
        corrected_share(40.0, 0.1)
    found = errors_corrected(marks(0, 0, 1, 1), marks(0, 1, 1, 1))
    assert (found.value, found.n_used) == (0.5, 4)
    assert errors_corrected(marks(0, 1, 1), marks(0, 0, 0)).note == "bounded at -1"
    none = errors_corrected(marks(1, 1), marks(1, 1))
    assert (none.value, none.std_error) == (0, None)
    assert none.note == "the untouched network makes (almost) no errors here"
    assert errors_corrected(marks(), marks()).value is None
    with pytest.raises(BadShape, match="the same cases before and after; got 2 and 1"):
        errors_corrected(marks(1, 1), marks(1))


def test_the_error_of_errors_corrected_is_how_it_scatters():
    draw = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(400):
        before = draw.random(300) < 0.6
        after = np.where(before, draw.random(300) < 0.95, draw.random(300) < 0.7)
        found = errors_corrected(torch.from_numpy(before), torch.from_numpy(after))
        values.append(found.value)
        errors.append(found.std_error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.1)
    assert np.mean(values) == pytest.approx(1 - (0.6 * 0.05 + 0.4 * 0.3) / 0.4, abs=0.01)
