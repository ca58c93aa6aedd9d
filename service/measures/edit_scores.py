"""What an edit did: cases met, answers kept and errors corrected."""

from __future__ import annotations

import math

from jaxtyping import Bool, Int
from torch import Tensor

from service.errors import BadInput, BadShape
from service.measures.standard_error import clustered
from service.results import Estimate

FEWEST_ERRORS = 1e-3  # share of errors that a smaller one counts as


def share_met(met: Bool[Tensor, " cases"], groups: Int[Tensor, " cases"] | None = None) -> Estimate:
    """The share p of cases that come out as asked, 0 to 1.

    Standard error sqrt(p (1 - p) / n), 0 where all cases are alike; with `groups` (the text that each is from) that of the
    mean of dependent cases. Undefined without cases.
    """
    if not len(met):
        return Estimate.undefined("there are no cases")
    values = met.double().cpu()
    share = float(values.mean())
    error = math.sqrt(share * (1 - share) / len(values))
    if groups is not None:
        return Estimate(share, clustered(values - share, groups.cpu()), len(values))
    return Estimate(share, error, len(values))


def agreement(
    told: Int[Tensor, " cases"], untouched: Int[Tensor, " others"], groups: Int[Tensor, " cases"] | None = None
) -> Estimate:
    """The share of cases of which a network tells the same class, or token, as the untouched one: 1 is an edit that is local.

    Standard error as of `share_met`. Raises BadShape for other lengths.
    """
    if len(told) != len(untouched):
        raise BadShape(f"agreement needs both networks' answers to each case; got {len(told)} and {len(untouched)}")
    return share_met(told.cpu() == untouched.cpu(), groups)


def corrected_share(before: float, after: float) -> float:
    """The share of the untouched network's errors that an edit takes away, from the shares of cases that are wrong `before`
    and `after` it: 1 is all of them, 0 none, -1 as many again or more.

    Formula: max((before - after) / max(0.001, before), -1). Raises BadInput for shares that are not 0 to 1.
    Source: Santurkar et al. 2021, https://arxiv.org/abs/2112.01008, section 4, as its code computes it
    """
    if not (0 <= before <= 1 and 0 <= after <= 1):
        raise BadInput(f"errors corrected need shares of errors from 0 to 1; got {before} before and {after} after")
    return max((before - after) / max(FEWEST_ERRORS, before), -1.0)


def errors_corrected(before: Bool[Tensor, " cases"], after: Bool[Tensor, " others"]) -> Estimate:
    """`corrected_share` from which cases were met before and after, with its standard error.

    The standard error is that of a ratio of means over the same cases (delta method): influence ((b_i - a_i) - value b_i) /
    mean b, where b and a are 1 for an error; None where the value is bounded at -1 or nothing was wrong before. Undefined
    without cases. Raises BadShape for other lengths.
    """
    if len(before) != len(after):
        raise BadShape(f"errors corrected need the same cases before and after; got {len(before)} and {len(after)}")
    if not len(before):
        return Estimate.undefined("there are no cases")
    wrong, still = (~before).double().cpu(), (~after).double().cpu()
    value = corrected_share(float(wrong.mean()), float(still.mean()))
    if wrong.mean() < FEWEST_ERRORS:
        return Estimate(value, None, len(wrong), note="the untouched network makes (almost) no errors here")
    if value == -1:
        return Estimate(value, None, len(wrong), note="bounded at -1")
    return Estimate(value, clustered((wrong - still - value * wrong) / wrong.mean()), len(wrong))
