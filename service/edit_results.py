"""What was found of edits and of what they break: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a network tells of each of some inputs, on the CPU: whether that is `correct`, its `loss` in nats and its
    `confidence` (the probability of what it tells, 0 to 1), neither finite where the network gives no numbers. `groups` say
    which image or text each is of: predictions of one text are not independent."""

    correct: Bool[Tensor, " predictions"]
    loss: Float[Tensor, " predictions"]
    confidence: Float[Tensor, " predictions"]
    groups: Int[Tensor, " predictions"]

    def __len__(self) -> int:
        return len(self.correct)


@dataclass(frozen=True)
class EditFit:
    """How an edit was fitted to its exemplars: the mean loss in nats before each step and after the last (None where it is no
    finite number), how many weights it changed, and whether it has converged; `note` says why it has not."""

    curve: tuple[tuple[int, float | None], ...]
    changed: int
    converged: bool
    note: str | None = None


@dataclass(frozen=True)
class EditScore:
    """What an edited network does on one set of cases, beside the untouched one on the same.

    `measure` is success (share of cases that come out as asked), agreement (share that the untouched network tells alike)
    or errors-corrected (share of the untouched network's errors, -1 to 1). `cases` names the set:
    exemplars, held-out, unrelated, or one of another generality (paraphrases, another style). `corruption` is none or a
    family, `severity` 0 to 5. `value` is None where it is undefined, and then `note` says why.
    """

    measure: str
    cases: str
    corruption: str
    severity: int
    before: float | None
    value: float | None
    std_error: float | None
    n: int
    note: str | None = None


@dataclass(frozen=True)
class Robustness:
    """How a network does on one dataset under one corruption (``none`` and 0 where clean), over `n` predictions.

    `accuracy` is the share that is right, `loss` in nats, `calibration_error` the expected calibration error. `change` is the
    accuracy less that of the untouched network on the same inputs, its standard error that of paired differences; None of the
    untouched network itself.
    """

    corruption: str
    severity: int
    accuracy: float
    std_error: float
    loss: float | None
    calibration_error: float | None
    n: int
    change: float | None = None
    change_std_error: float | None = None


@dataclass(frozen=True)
class LayerChange:
    """How far an edit moved the states of one layer: a measure of its shape `before` and `after`, or of the dissimilarity of
    both (then `before` is None)."""

    layer: int
    layer_name: str | None
    stream: str
    measure: str
    before: float | None
    after: float | None
    std_error: float | None
    n: int
    note: str | None = None
