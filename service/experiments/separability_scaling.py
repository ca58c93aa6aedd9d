"""Accuracy against the number of texts and of tokens read of each; network size is the models that are asked about."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from service.experiments.layer_clouds import CloudReader
from service.experiments.progress import Progress, tell
from service.experiments.separability_fits import Rows, Separator, Tables, score_rows
from service.experiments.separate_layers import Outcome, recorded
from service.measures import separation
from service.measures.layered import Layered
from service.measures.separation import evaluated
from service.networks.datasets import Choice
from service.storage.finding_rows import unrecorded

EXPERIMENT = "separability_scaling"
SEEDS = 3
TEXTS = (50, 100, 200)
LENGTHS = (10, 30, 100)


def unscaled(
    reader: CloudReader, dataset: str, texts: Sequence[int], lengths: Sequence[int], from_layer: int = 0
) -> list[int]:
    """The lengths whose rows the store lacks. Raises UnknownName, BadInput, StoreBusy."""
    choices = {length: Choice(texts=max(texts), length=length) for length in lengths}
    parameters = _parameters(texts, from_layer)
    wanted = {length: (reader.items(dataset, choice).dataset.name, parameters) for length, choice in choices.items()}
    return unrecorded(reader.store, EXPERIMENT, reader.checkpoint.checkpoint_id, wanted, reader.on_wait)


def _parameters(texts: Sequence[int], from_layer: int) -> dict[str, Any]:
    return {"texts": sorted(texts), "from_layer": from_layer, "seeds": SEEDS}


def scaling(
    reader: CloudReader,
    dataset: str,
    texts: Sequence[int] = TEXTS,
    lengths: Sequence[int] = LENGTHS,
    from_layer: int = 0,
) -> Outcome:
    """The grid of numbers of texts and lengths for one checkpoint; every length is a pass over the most texts and a run of
    its own, the smaller numbers are parts of it.

    Raises BadInput where the dataset has fewer texts of a length, UnknownName, NetworkMismatch, StoreBusy.
    """
    begun, rows = time.perf_counter(), 0
    todo = unscaled(reader, dataset, texts, lengths, from_layer)
    for done, length in enumerate(todo):
        tell(Progress("separate", f"{reader.checkpoint.label}: {length} tokens", done, len(todo), "lengths"))
        choice = Choice(texts=max(texts), length=length)
        found = reader.of(dataset, choice)
        answer = partial(grid, found.clouds.from_layer(from_layer), found.dataset, sorted(texts), length)
        parameters = _parameters(texts, from_layer)
        rows += recorded(reader, EXPERIMENT, found.dataset, parameters, answer, found.facts.device)
    return Outcome(reader.checkpoint, dataset, len(todo), rows, time.perf_counter() - begun)


def grid(clouds: Layered, dataset: str, texts: Sequence[int], length: int) -> Tables:
    """The accuracy at each number of texts, `length` tokens of each. Raises BadShape for fewer texts than folds."""
    rows: Rows = []
    for count in texts:
        for fit in Separator(separation.some_texts(clouds, count), SEEDS).every():
            found = evaluated(fit.classifier, fit.test)
            rows += score_rows("scaling", "texts", fit, found, dataset, amount=float(count), length=length)
    return {"separability_scores": rows}
