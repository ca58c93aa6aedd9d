"""Effective robustness: accuracy under a shift beyond what a network's clean accuracy makes one expect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from service.errors import BadInput, BadShape

CLIP = 1e-3  # accuracies are held this far from 0 and 1, where the logit is infinite


@dataclass(frozen=True)
class Line:
    """logit(shifted accuracy) = intercept + slope logit(clean accuracy), fitted to `n` networks; `r2` is the share of the
    variance that it explains, None where shifted accuracies do not vary."""

    slope: float
    intercept: float
    n: int
    r2: float | None

    def expected(self, clean: float) -> float:
        """The accuracy under the shift, 0 to 1, of a network with that clean accuracy. Raises BadInput."""
        return float(1 / (1 + np.exp(-(self.intercept + self.slope * _logit(clean)))))


def fitted_line(clean: Float[Tensor, " networks"], shifted: Float[Tensor, " others"]) -> Line:
    """The line of some networks, which must be ones that nobody made robust: least squares on the logits of their accuracies.

    Formula: logit a = ln(a / (1 - a)), a held `CLIP` away from 0 and 1. Raises BadShape for other lengths, BadInput for
    fewer than 2 networks, clean accuracies that do not differ, or any that is not 0 to 1.
    Source: Taori et al. 2020, https://arxiv.org/abs/2007.00644, section 3.2 and appendix (logit scale)
    """
    if len(clean) != len(shifted):
        raise BadShape(f"each network needs a clean and a shifted accuracy; got {len(clean)} and {len(shifted)}")
    if len(clean) < 2:
        raise BadInput(f"a line needs 2 networks or more; got {len(clean)}")
    x, y = (np.array([_logit(value) for value in side.tolist()]) for side in (clean, shifted))
    spread = float(((x - x.mean()) ** 2).sum())
    if spread < 1e-12:
        raise BadInput(f"a line needs networks of different clean accuracy; all {len(x)} have {float(clean[0]):.4g}")
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    varies = float(((y - y.mean()) ** 2).sum())
    r2 = slope**2 * spread / varies if varies > 0 else None
    return Line(slope, float(y.mean() - slope * x.mean()), len(x), r2)


def effective_robustness(clean: float, shifted: float, line: Line) -> float:
    """By how much a network's accuracy under a shift exceeds what the line expects of its clean accuracy, as a share: 0 is on
    the line, above 0 more robust than other networks as accurate, below 0 less.

    Formula: shifted - 1 / (1 + exp(-(intercept + slope logit(clean)))). Raises BadInput for accuracies that are not 0 to 1.
    Source: Taori et al. 2020, https://arxiv.org/abs/2007.00644, section 3.2
    """
    _logit(shifted)
    return shifted - line.expected(clean)


def _logit(accuracy: float) -> float:
    if not 0 <= accuracy <= 1:  # also NaN
        raise BadInput(f"an accuracy needs to be a share from 0 to 1; got {accuracy}")
    held = min(max(accuracy, CLIP), 1 - CLIP)
    return float(np.log(held / (1 - held)))
