"""Does the dimension grow before the loss explodes? Small decoders with and without what makes a loss spike, and a score for
every signal that might have foretold it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import BadInput, UnknownName
from service.experiments.runs import ended_run, now
from service.experiments.warning_scores import HORIZONS, Score, Series, detrended, score, shuffled_score
from service.networks.text_sources import python_reference
from service.networks.training import Recipe, small_decoder, steps, train_tokenizer
from service.networks.training_probe import text_probe
from service.storage.answers import ask
from service.storage.database import Store
from service.storage.score_rows import record_scores
from service.subjects import content_id

EXPERIMENT = "early_warning"
NATURAL = "none"
RAMP = {"rate_growth": 1.012}  # the rate doubles each 58 steps: sooner or later it is too high
CONDITIONS: dict[str, dict[str, Any]] = {
    NATURAL: {},
    "high learning rate": RAMP,
    "no warm-up": {**RAMP, "warmup": 0, "learning_rate": 3e-2},
    "no clipping": {**RAMP, "clip": None},
    "bad batches": {"bad_batches": 0.01},
    "low precision": {**RAMP, "mantissa_bits": 3},
}
VOCABULARY = 288
WINDOW = 20  # probes behind the trend; for what is logged at each step, as many steps as they span
PROBED = ("intrinsic_dimension_middle", "intrinsic_dimension_last", "intrinsic_dimension_excess", "anisotropy_last")
LOGGED = ("gradient_norm", "update_norm", "loss")
SIGNALS = PROBED + LOGGED


@dataclass(frozen=True)
class Study:
    """A grid of trainings: every condition with every seed, and the sizes of all of them. Raises UnknownName, BadInput."""

    conditions: tuple[str, ...] = tuple(CONDITIONS)
    seeds: int = 6
    steps: int = 600
    every: int = 2
    width: int = 48
    layers: int = 3
    batch: int = 8
    length: int = 64

    def __post_init__(self) -> None:
        for name in self.conditions:
            if name not in CONDITIONS:
                raise UnknownName.of("condition", name, CONDITIONS)
        if self.seeds < 1 or self.steps < 100 or not 1 <= self.every <= 10:
            given = f"{self.seeds}, {self.steps} and {self.every}"
            raise BadInput(f"a study needs 1 seed, 100 steps, and a probe each 1 to 10 steps at least; got {given}")

    @property
    def name(self) -> str:
        """The study's name in the store: the same settings, the same name."""
        return f"early-warning-{content_id('study', {**asdict(self), 'conditions': None, 'seeds': None})[:8]}"

    def trainings(self) -> list[Training]:
        """Seed by seed, so that an interrupted study has every condition."""
        return [Training(self, condition, seed) for seed in range(self.seeds) for condition in self.conditions]


@dataclass(frozen=True)
class Training:
    """One training of a study."""

    study: Study
    condition: str
    seed: int

    @property
    def name(self) -> str:
        """The training's name in the store."""
        return f"{self.study.name}/{self.condition.replace(' ', '-')}/{self.seed}"

    @property
    def recipe(self) -> Recipe:
        common: dict[str, Any] = {"batch": self.study.batch, "length": self.study.length, "seed": self.seed}
        common |= {"threads": 1, "final_share": 1.0, "learning_rate": 2e-3}
        return Recipe(self.study.steps, (), **(common | CONDITIONS[self.condition]))


def missing(store: Store, study: Study) -> list[Training]:
    """The study's trainings that the store does not have to their last step."""
    found = ask(
        store,
        "select model, max(step) from lab.training_losses where starts_with(model, ?) group by model",
        [study.name],
    )
    ends = dict(zip(*(column.to_pylist() for column in found.columns), strict=True))
    return [training for training in study.trainings() if ends.get(training.name, 0) < study.steps]


def has_scores(store: Store, study: Study) -> bool:
    """Whether the newest scores of the study are of all its trainings."""
    query = "select max(trainings) from lab.early_warning_scores where study = ? and cause = 'all'"
    return bool(ask(store, query, [study.name])[0][0].as_py() == len(study.trainings()))


def signals_of(
    probes: Sequence[Mapping[str, Any]], losses: Sequence[Mapping[str, Any]], every: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The probed steps and every signal there, detrended alike; `probes` are rows of ``lab.training_geometry``, two layers a
    step, `losses` rows of ``lab.training_losses``, both in the order of their steps."""
    layers = sorted({row["layer"] for row in probes})
    by_layer = {layer: [row for row in probes if row["layer"] == layer] for layer in layers}
    at = np.array([row["step"] for row in by_layer[layers[0]]], dtype=np.int64)
    middle, last = by_layer[layers[0]], by_layer[layers[-1]]
    excess = np.stack([_column(rows, "excess_in_std_errors") for rows in by_layer.values()])
    found = {
        "intrinsic_dimension_middle": detrended(_column(middle, "twonn"), WINDOW),
        "intrinsic_dimension_last": detrended(_column(last, "twonn"), WINDOW),
        "intrinsic_dimension_excess": np.where(np.isnan(excess).any(axis=0), np.nan, excess.max(axis=0)),
        "anisotropy_last": detrended(_column(last, "anisotropy"), WINDOW),
    }
    place = np.searchsorted([row["step"] for row in losses], at)
    for name in LOGGED:
        found[name] = detrended(_column(losses, name), WINDOW * every)[place]
    return at, found


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)


def series_of(store: Store, study: Study) -> list[Series]:
    """What the views hold of each training of the study that ran to its end."""
    done = {training.name for training in missing(store, study)}
    return [_series(store, training) for training in study.trainings() if training.name not in done]


def _series(store: Store, training: Training) -> Series:
    def rows(view: str) -> list[dict[str, Any]]:
        return ask(store, f"select * from lab.{view} where model = ? order by step", [training.name]).to_pylist()

    losses = rows("training_losses")
    at, signals = signals_of(rows("training_geometry"), losses, training.study.every)
    spikes = [(row["step"], row["last_step"]) for row in rows("loss_spikes")]
    return Series(training.name, training.condition, at, signals, spikes, losses[-1]["step"])


def scores_of(trainings: Sequence[Series]) -> Iterator[tuple[str, str, int, Score]]:
    """(cause, signal, horizon, score) over all trainings, those with an induced condition, those without, and each
    condition by itself; over all of them also against shuffled labels."""
    causes = {
        "all": trainings,
        "induced": [series for series in trainings if series.condition != NATURAL],
        "natural": [series for series in trainings if series.condition == NATURAL],
    }
    for condition in sorted({series.condition for series in trainings} - {NATURAL}):
        causes[condition] = [series for series in trainings if series.condition == condition]
    for horizon in HORIZONS:
        for cause, group in causes.items():
            if group:
                yield from ((cause, signal, horizon, score(group, signal, horizon)) for signal in SIGNALS)
        for signal in SIGNALS:
            yield "all", f"{signal} (time-shuffled)", horizon, shuffled_score(trainings, signal, horizon)


def record_study(store: Store, study: Study, flow_run_id: str | None = None) -> int:
    """Score what the store has of a study and record it; the number of scores. Raises BadInput where it has nothing."""
    begun = now()
    trainings = series_of(store, study)
    if not trainings:
        raise BadInput(f"the study {study.name} has no training that ran to its end: run it again")
    rows = [
        {"study": study.name, "cause": cause, "signal": signal, "horizon": horizon, **asdict(found)}
        for cause, signal, horizon, found in scores_of(trainings)
    ]
    parameters = json.loads(json.dumps(asdict(study)))
    run = ended_run(EXPERIMENT, parameters, begun, study.name, device="cpu", flow_run_id=flow_run_id)
    record_scores(store, run, study.name, rows)
    return len(rows)


@functools.lru_cache(maxsize=1)
def _tokenizer() -> Any:
    return train_tokenizer([text[:200_000] for text in python_reference().texts], VOCABULARY, "causal")


def train_one(training: Training, store: Path | str, monitor_of: Callable[..., AbstractContextManager[Any]]) -> str:
    """Run one training in this process, on one thread, with the monitor that `monitor_of` makes at its side; its name in
    the store."""
    study, tokenizer, texts = training.study, _tokenizer(), python_reference().texts
    module = small_decoder(study.width, study.layers, len(tokenizer), training.seed)
    probe = text_probe(tokenizer, texts, length=study.length)
    with monitor_of(module, probe, training.name, store=store, every=study.every) as monitor:
        for made in steps(module, tokenizer, texts, training.recipe, update_norms=True):
            monitor.log(made)
            if made.step % study.every == 0:
                monitor.measure(made.step)
    return training.name
