"""Do layers live in different spaces? Whether a single state tells which layer it came from, and by what.

Each question is a run of its own: what is recorded is not asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from service.errors import BadInput, UnknownName
from service.experiments.layer_clouds import CloudReader
from service.experiments.measure_rows import measure_rows
from service.experiments.progress import Progress, tell
from service.experiments.released_separability import released
from service.experiments.runs import ended_run, now
from service.experiments.separability_fits import Separator, Tables
from service.experiments.separability_questions import QUESTIONS, chosen_mask, separability
from service.measures import weight_space
from service.measures.classifiers import CLASSIFIERS
from service.measures.separation import refuse_few_texts
from service.networks.datasets import Choice
from service.storage.database import OnWait, Store
from service.storage.finding_rows import Findings, record_findings, unrecorded
from service.subjects import Checkpoint

EXPERIMENT = "separate_layers"
OTHERS = ("separability", "released", "mask")


@dataclass(frozen=True)
class Inquiry:
    """One question, asked with the layers from `from_layer` on, over `seeds` choices of held-out texts.

    `question` is ``separability`` (by `classifier`), ``masking``, ``norm``, ``stability``, ``projection``, ``leak``,
    ``released`` (the study's own procedure), or ``mask`` of the `dimensions` given. Raises UnknownName, BadInput.
    """

    question: str = "separability"
    classifier: str = "logistic"
    from_layer: int = 0
    seeds: int = 5
    dimensions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        known = (*OTHERS, *QUESTIONS)
        if self.question not in known:
            raise UnknownName.of("question", self.question, known)
        if self.classifier not in CLASSIFIERS:
            raise UnknownName.of("classifier", self.classifier, CLASSIFIERS)
        if self.seeds < 1:
            raise BadInput(f"one seed or more is needed; got {self.seeds}")

    @property
    def parameters(self) -> dict[str, Any]:
        """What a run of it is recorded with."""
        return {**vars(self), "dimensions": list(self.dimensions)}

    def answered(self, separator: Separator, dataset: str) -> Tables:
        """The rows that answer it. Raises BadShape."""
        if self.question == "separability":
            return separability(separator, dataset, self.classifier)
        if self.question == "released":
            return released(separator, dataset)
        if self.question == "mask":
            return chosen_mask(separator, dataset, self.dimensions)
        return QUESTIONS[self.question](separator, dataset)


@dataclass(frozen=True)
class Outcome:
    """What was done for one checkpoint on one dataset: how many questions were answered, in how many rows and seconds."""

    checkpoint: Checkpoint
    dataset: str
    questions: int
    rows: int
    seconds: float


def missing(
    store: Store, checkpoint: Checkpoint, dataset: str, inquiries: Sequence[Inquiry], on_wait: OnWait = None
) -> list[Inquiry]:
    """The inquiries whose answers the store does not have. Raises StoreBusy."""
    wanted = {one: (dataset, one.parameters) for one in inquiries}
    return unrecorded(store, EXPERIMENT, checkpoint.checkpoint_id, wanted, on_wait)


def separate(reader: CloudReader, dataset: str, choice: Choice, inquiries: Sequence[Inquiry]) -> Outcome:
    """Answer what the store lacks of the inquiries about one checkpoint on one dataset, and record each answer.

    Raises UnknownName, BadInput (one text, fewer than two blocks, constant states), NetworkMismatch, StoreBusy.
    """
    begun = time.perf_counter()
    about = reader.items(dataset, choice).dataset
    refuse_few_texts(about.items)  # before a network is loaded; documents may be fewer
    key = about.name
    todo = missing(reader.store, reader.checkpoint, key, inquiries, reader.on_wait)
    clouds, rows = cache(partial(reader.of, dataset, choice)), 0
    separators: dict[tuple[int, int], Separator] = {}
    for done, inquiry in enumerate(todo):
        tell(Progress("separate", f"{reader.checkpoint.label}: {inquiry.question}", done, len(todo), "questions"))
        shared = (inquiry.from_layer, inquiry.seeds)
        if shared not in separators:
            separators[shared] = Separator(clouds().clouds.from_layer(inquiry.from_layer), inquiry.seeds)
        answer = partial(inquiry.answered, separators[shared], key)
        rows += recorded(reader, EXPERIMENT, key, inquiry.parameters, answer, clouds().facts.device)
    tell(Progress("separate", reader.checkpoint.label, len(todo), len(todo), "questions"))
    return Outcome(reader.checkpoint, key, len(todo), rows, time.perf_counter() - begun)


def recorded(
    reader: CloudReader,
    experiment: str,
    dataset: str,
    parameters: dict[str, Any],
    answer: Callable[[], Tables],
    device: str,
) -> int:
    """Ask for an answer and record it as a run; the number of rows."""
    begun, started = now(), time.perf_counter()
    tables = answer()
    identity = reader.checkpoint.checkpoint_id
    seconds = {"measure": time.perf_counter() - started}
    flow_run_id = reader.flow_run_id
    run = ended_run(
        experiment, parameters, begun, identity, dataset, device=device, flow_run_id=flow_run_id, seconds=seconds
    )
    measures = measure_rows(weight_space.DECLARED) if "checkpoint_metrics" in tables else ()
    findings = Findings(run, identity, dataset, tables, measures)
    record_findings(reader.store, findings, reader.on_wait)
    return findings.rows
