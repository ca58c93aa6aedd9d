"""How well a signal foretells loss spikes: pure scoring of series that are there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view
from scipy.stats import rankdata

HORIZONS = (10, 50, 200)
COOL_DOWN = 50  # steps after a spike that are not scored, as long as the rule takes hits for one spike
FALSE_ALARMS = 2.0  # in 1,000 steps
RESAMPLES = 1000
SHIFTS = 200
SCALE = 1.4826  # of the median absolute deviation, to a Gaussian's standard deviation
Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Series:
    """One training: `steps` at which the probe was taken, each signal's value there (NaN where it has none), and the first
    and last step of every spike. `last` is the last step that was logged."""

    training: str
    condition: str
    steps: Int[Array, " probes"]
    signals: Mapping[str, Float[Array, " probes"]]
    spikes: Sequence[tuple[int, int]]
    last: int


@dataclass(frozen=True)
class Score:
    """What a signal is worth at a horizon; None where it is undefined, then `note` says why."""

    trainings: int
    spikes: int
    steps: int
    auroc: float | None = None
    auroc_low: float | None = None
    auroc_high: float | None = None
    precision_at_alarms: float | None = None
    recall_at_alarms: float | None = None
    false_alarms_per_1000_steps: float | None = None
    note: str | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """The scored probes of one training: their values, and whether a spike starts within the horizon."""

    steps: Int[Array, " scored"]
    values: Float[Array, " scored"]
    positive: Bool[Array, " scored"]
    spikes: Sequence[int]
    sorted_by_label: tuple[Array, Array] = field(init=False)

    def __post_init__(self) -> None:
        parts = np.sort(self.values[self.positive]), np.sort(self.values[~self.positive])
        object.__setattr__(self, "sorted_by_label", parts)


def detrended(values: Float[Array, " places"], window: int) -> Float[Array, " places"]:
    """Each value less the median of the `window` before it, over their scaled median absolute deviation.

    NaN where fewer than a quarter of the window is known or nothing varies there. A dimension that grows steadily, as it
    does early in any training, is no signal.
    """
    padded = np.concatenate([np.full(window, np.nan), values])
    before = sliding_window_view(padded, window)[: len(values)]
    known = np.isfinite(before).sum(axis=1)
    enough = known >= max(2, window // 4)
    found = np.full(len(values), np.nan)
    if enough.any():
        median = np.nanmedian(before[enough], axis=1)
        spread = SCALE * np.nanmedian(np.abs(before[enough] - median[:, None]), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found[enough] = (values[enough] - median) / np.where(spread > 0, spread, np.nan)
    return found


def labelled(series: Series, signal: str, horizon: int) -> Labelled:
    """The probes that can be scored. Left out: those within a spike and its cool-down, those so near the end that the
    horizon reaches beyond it without a spike, and those where the signal is not known."""
    values, steps = series.signals[signal], series.steps
    starts = np.array([start for start, _ in series.spikes], dtype=np.int64)
    place = np.searchsorted(starts, steps, side="right")
    following = np.where(
        place < len(starts), np.append(starts, 0)[np.minimum(place, len(starts))], np.iinfo(np.int64).max
    )
    positive = following - steps <= horizon
    scored = np.isfinite(values) & (positive | (steps + horizon <= series.last))
    for start, end in series.spikes:
        scored &= (steps < start) | (steps > end + COOL_DOWN)
    return Labelled(steps[scored], values[scored], positive[scored], starts.tolist())


def wins(cells: Sequence[Labelled]) -> Float[Array, "trainings trainings"]:
    """How often a positive probe of the one training is above a negative one of the other, ties counted half."""
    table = np.zeros((len(cells), len(cells)))
    for row, one in enumerate(cells):
        for column, other in enumerate(cells):
            positive, negative = one.sorted_by_label[0], other.sorted_by_label[1]
            if len(positive) and len(negative):
                below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
                table[row, column] = below.sum() / 2
    return table


def auroc(cells: Sequence[Labelled]) -> float | None:
    """Area under the receiver operating characteristic over all probes of all trainings; None where one side is empty."""
    return _area_by_rank(_ranks(cells), np.concatenate([cell.positive for cell in cells]))


def _ranks(cells: Sequence[Labelled]) -> Array:
    return rankdata(np.concatenate([cell.values for cell in cells]))


def _area_by_rank(ranks: Array, positive: Array) -> float | None:
    count = int(positive.sum())
    pairs = count * (len(positive) - count)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / pairs) if pairs else None


def interval(cells: Sequence[Labelled], seed: int = 0) -> tuple[float | None, float | None]:
    """The 95 % interval of `auroc` by bootstrap over trainings, which are what is independent here."""
    positives = np.array([cell.positive.sum() for cell in cells], dtype=float)
    negatives = np.array([len(cell.positive) for cell in cells]) - positives
    table = wins(cells)
    draw = np.random.default_rng(seed)
    weights = draw.multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=RESAMPLES)
    areas = [area for row in weights if (area := _area(table, positives, negatives, row)) is not None]
    return _ends(areas)


def shuffled(cells: Sequence[Labelled], seed: int = 0) -> tuple[float | None, float | None, float | None]:
    """Mean and 95 % range of `auroc` when each training's labels are shifted round in time by a random way."""
    draw, ranks = np.random.default_rng(seed), _ranks(cells)
    areas = []
    for _ in range(SHIFTS):
        turned = [np.roll(cell.positive, draw.integers(max(1, len(cell.positive)))) for cell in cells]
        area = _area_by_rank(ranks, np.concatenate(turned))
        if area is not None:
            areas.append(area)
    return (float(np.mean(areas)) if areas else None, *_ends(areas))


def _ends(areas: Sequence[float]) -> tuple[float | None, float | None]:
    if not areas:
        return None, None
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)


def _area(table: Array, positives: Array, negatives: Array, weights: Array) -> float | None:
    pairs = (weights @ positives) * (weights @ negatives)
    return float(weights @ table @ weights / pairs) if pairs else None


def at_alarms(
    cells: Sequence[Labelled], horizon: int, every: float, rate: float = FALSE_ALARMS
) -> tuple[float | None, float]:
    """Precision (None without an alarm) and recall at the lowest threshold with at most `rate` false alarms in 1,000 steps.

    An alarm is a probe above the threshold whose forerunner was not; it is false where no spike starts within the
    horizon. Recall is the share of spikes that at least one alarm came before by no more than the horizon.
    """
    values = np.concatenate([cell.values for cell in cells])
    allowed = rate * every * sum((~cell.positive).sum() for cell in cells) / 1000
    best: tuple[float | None, float] = (None, 0.0)
    for threshold in np.unique(np.quantile(values, np.linspace(1, 0.5, 400)))[::-1]:
        raised = [(cell.values > threshold) & ~np.append(False, cell.values[:-1] > threshold) for cell in cells]
        false = sum(int((alarm & ~cell.positive).sum()) for alarm, cell in zip(raised, cells, strict=True))
        if false > allowed:
            break
        true = sum(int((alarm & cell.positive).sum()) for alarm, cell in zip(raised, cells, strict=True))
        best = true / (true + false) if true + false else None, _recall(cells, raised, horizon)
    return best


def _recall(cells: Sequence[Labelled], raised: Sequence[Array], horizon: int) -> float:
    caught = total = 0
    for cell, alarm in zip(cells, raised, strict=True):
        at = cell.steps[alarm]
        total += len(cell.spikes)
        caught += sum(bool(((at < start) & (at >= start - horizon)).any()) for start in cell.spikes)
    return caught / total if total else 0.0


def score(trainings: Sequence[Series], signal: str, horizon: int) -> Score:
    """Everything about one signal at one horizon, over trainings with and without spikes."""
    cells = [labelled(series, signal, horizon) for series in trainings]
    area, facts = auroc(cells), _facts(trainings, cells)
    if area is None:
        return Score(*facts, note=_why_undefined(facts))
    gaps = np.concatenate([np.diff(series.steps) for series in trainings])
    precision, recall = at_alarms(cells, horizon, float(np.median(gaps)))
    return Score(*facts, area, *interval(cells), precision, recall, FALSE_ALARMS)


def shuffled_score(trainings: Sequence[Series], signal: str, horizon: int) -> Score:
    """The same signal against labels that mean nothing: what chance looks like here."""
    cells = [labelled(series, signal, horizon) for series in trainings]
    area, low, high = shuffled(cells)
    note = (
        f"mean and range of {SHIFTS} circular shifts" if area is not None else _why_undefined(_facts(trainings, cells))
    )
    return Score(*_facts(trainings, cells), area, low, high, note=note)


def _facts(trainings: Sequence[Series], cells: Sequence[Labelled]) -> tuple[int, int, int]:
    return len(trainings), sum(len(series.spikes) for series in trainings), sum(len(cell.steps) for cell in cells)


def _why_undefined(facts: tuple[int, int, int]) -> str:
    return (
        "there is no spike to foretell" if facts[1] == 0 else "no probe could be scored before a spike, or none apart"
    )
