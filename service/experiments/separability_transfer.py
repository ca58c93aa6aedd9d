"""Does what tells layers apart on one text tell them apart on another?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from service.errors import BadInput
from service.experiments.layer_clouds import CloudReader
from service.experiments.progress import Progress, tell
from service.experiments.separability_fits import Fit, Rows, Separator, Tables, score_rows, train
from service.experiments.separate_layers import Outcome, recorded
from service.measures import separation
from service.measures.layered import Layered
from service.measures.separation import evaluated
from service.networks.datasets import Choice
from service.storage.finding_rows import unrecorded

EXPERIMENT = "separability_transfer"


@dataclass(frozen=True)
class Side:
    """One of the two datasets, read when it is first asked for: as it is, and without punctuation."""

    reader: CloudReader
    name: str
    choice: Choice
    from_layer: int
    seeds: int

    @cached_property
    def key(self) -> str:
        """The dataset's key in the store."""
        return self.reader.items(self.name, self.choice).dataset.name

    @cached_property
    def separator(self) -> Separator:
        """The classifiers trained on it."""
        return Separator(self._clouds(self.choice), self.seeds)

    @cached_property
    def plain(self) -> Layered:
        """Its clouds without punctuation."""
        return self._clouds(replace(self.choice, punctuation=False))

    @property
    def plain_key(self) -> str:
        """The key of the dataset without punctuation."""
        return self.reader.items(self.name, replace(self.choice, punctuation=False)).dataset.name

    def _clouds(self, choice: Choice) -> Layered:
        return self.reader.of(self.name, choice).clouds.from_layer(self.from_layer)


def untransferred(
    reader: CloudReader, datasets: tuple[str, str], choice: Choice, from_layer: int, seeds: int
) -> list[str]:
    """The training sets, by key, whose rows the store lacks: each dataset, and the mixture.

    Raises BadInput for one dataset twice, UnknownName, StoreBusy.
    """
    keys = [reader.items(name, choice).dataset.name for name in datasets]
    if keys[0] == keys[1]:
        raise BadInput(f"transfer needs two datasets; got {keys[0]} twice")
    parameters = _parameters(keys, from_layer, seeds)
    wanted = {key: (key, parameters) for key in (*keys, " + ".join(keys))}
    return unrecorded(reader.store, EXPERIMENT, reader.checkpoint.checkpoint_id, wanted, reader.on_wait)


def _parameters(keys: Sequence[str], from_layer: int, seeds: int) -> dict[str, Any]:
    return {"datasets": sorted(keys), "from_layer": from_layer, "seeds": seeds}


def transfer(reader: CloudReader, datasets: tuple[str, str], choice: Choice, from_layer: int, seeds: int) -> Outcome:
    """Train on each of two datasets and test on both, on its own held-out texts without punctuation, and train on the
    mixture; the scaler of the training states goes with the classifier. Each training set is a run of its own.

    Raises BadInput for one dataset twice, UnknownName, NetworkMismatch, StoreBusy.
    """
    begun, rows = time.perf_counter(), 0
    todo = untransferred(reader, datasets, choice, from_layer, seeds)
    first, second = (Side(reader, name, choice, from_layer, seeds) for name in datasets)
    mixture = f"{first.key} + {second.key}"
    jobs = {
        first.key: partial(_one_way, first, second),
        second.key: partial(_one_way, second, first),
        mixture: partial(_mixed, first, second),
    }
    parameters = _parameters([first.key, second.key], from_layer, seeds)
    for done, key in enumerate(todo):
        tell(Progress("separate", f"{reader.checkpoint.label}: transfer from {key}", done, len(todo), "datasets"))
        rows += recorded(reader, EXPERIMENT, key, parameters, jobs[key], str(first.separator.clouds.states.device))
    return Outcome(reader.checkpoint, mixture, len(todo), rows, time.perf_counter() - begun)


def _one_way(own: Side, other: Side) -> Tables:
    rows: Rows = []
    for fit in own.separator.every():
        rows += score_rows("transfer", "held-out texts", fit, evaluated(fit.classifier, fit.test), own.key)
        found = evaluated(fit.classifier, other.separator.clouds)
        texts = fit.texts[0], other.separator.clouds.texts
        rows += score_rows("transfer", "another dataset", fit, found, other.key, texts=texts)
        plain = own.plain.where(separation.in_texts(own.plain, fit.held))
        found, texts = evaluated(fit.classifier, plain), (fit.texts[0], plain.texts)
        rows += score_rows("transfer", "without punctuation", fit, found, own.plain_key, texts=texts)
    return {"separability_scores": rows}


def _mixed(first: Side, second: Side) -> Tables:
    rows: Rows = []
    for seed in range(first.seeds):
        parts = [Fit(seed, None, side.separator.clouds, _held(side, seed)) for side in (first, second)]
        classifier: Any = train(separation.merged(parts[0].train, parts[1].train))
        trained = sum(part.texts[0] for part in parts)
        for side, part in zip((first, second), parts, strict=True):
            found, texts = evaluated(classifier, part.test), (trained, part.texts[1])
            rows += score_rows("transfer", "trained on the mixture", part, found, side.key, texts=texts)
    return {"separability_scores": rows}


def _held(side: Side, seed: int) -> Any:
    return separation.held_out_texts(side.separator.clouds, seed)
