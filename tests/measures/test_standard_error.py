"""Standard errors from influences."""

import pytest
import torch

from service.measures.standard_error import clustered


def test_independent_points_give_the_error_of_a_mean(gaussian):
    values = gaussian(50, 1)[:, 0]
    assert clustered(values - values.mean()) == pytest.approx(values.std().item() / 50**0.5)


def test_texts_of_equal_tokens_count_once(gaussian):
    values = gaussian(30, 1)[:, 0]
    tokens = values.repeat_interleave(7)
    items = torch.arange(30).repeat_interleave(7) * 3 + 5
    assert clustered(tokens - tokens.mean(), items) == pytest.approx(values.std().item() / 30**0.5)


def test_texts_that_even_themselves_out_do_not_go_below_nothing_shared():
    values = torch.tensor([1.0, -1] * 20)
    items = torch.arange(40) // 2
    expected = (1 / 40 * 20 / 19) ** 0.5
    assert clustered(values, items) == pytest.approx(expected)


def test_one_text_says_nothing_of_what_texts_share():
    values = torch.tensor([1.0, -1] * 20)
    assert clustered(values, torch.zeros(40, dtype=torch.long)) == pytest.approx((1 / 40) ** 0.5)


def test_one_point_has_no_error():
    assert clustered(torch.zeros(1)) is None
