"""When a map's training has come to rest: where its held-out loss falls no more, and no more at a lower rate either."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

EVALUATIONS = 24  # of the held-out texts while training, beside the one before, at least
EVERY = 10  # steps from one to the next, at most
FEWEST = 3  # of them whose mean is judged
# relative change of the held-out loss; at 0.002 a map passed that had 0.04 nats of 0.12 still to win
TOLERANCE = 0.0005
# of the first one: a loss that falls no more at one rate may only be held up by the noise of its steps
RATES = (1.0, 0.1)
LATEST = (0.65, 1.0)  # share of the steps after which the next rate is taken, at rest or not


class Annealing:
    """The rates of a training of at most `steps` steps, told of the held-out loss every `every` of them. It has converged if
    the loss fell no more at every rate but the last, and came to rest there; `why` it has not, None where it has."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.every = min(EVERY, math.ceil(steps / EVALUATIONS))
        self.why: str | None = None
        self._turn = 0
        self._losses: list[float | None] = []

    @property
    def over(self) -> bool:
        """Whether no rate is left."""
        return self._turn == len(RATES)

    @property
    def rate(self) -> float:
        """Of the next steps, as a share of the first."""
        return RATES[min(self._turn, len(RATES) - 1)]

    def evaluates(self, step: int) -> bool:
        """Whether the held-out loss is asked for after that step."""
        return step % self.every == 0 or step == self.steps

    def tell(self, step: int, loss: float | None) -> None:
        """The held-out loss after that step, by which the rate is lowered, or the training over."""
        self._losses.append(loss)
        rests, why = has_converged(self._losses)
        if self._turn < len(RATES) - 1 and (change(self._losses) or 0) > 0:  # steps too long for this place
            rests, why = True, None
        if rests or step >= LATEST[self._turn] * self.steps:
            self.why = self.why or why
            self._turn, self._losses = self._turn + 1, []


def has_converged(losses: Sequence[float | None]) -> tuple[bool, str | None]:
    """Whether a held-out loss has come to rest: its mean over the last quarter of the evaluations, `FEWEST` at least, against
    that over as many before, relative change below `TOLERANCE`. And why not, where it has not."""
    found = change(losses)
    if found is None:
        return False, f"{len(losses)} evaluations at one rate are too few to judge convergence by"
    if abs(found) < TOLERANCE:
        return True, None
    return False, f"the held-out loss still changed by {abs(found):.2%} over the last quarter of the steps at one rate"


def change(losses: Sequence[float | None]) -> float | None:
    """That relative change: below 0 where the loss falls. NaN where a loss is no number, None where they are too few."""
    quarter = max(FEWEST, len(losses) // 4)
    if len(losses) < 2 * quarter:
        return None
    known = np.array([math.nan if loss is None else loss for loss in losses[-2 * quarter :]])
    before, last = known[:quarter].mean(), known[quarter:].mean()
    return float((last - before) / before)
