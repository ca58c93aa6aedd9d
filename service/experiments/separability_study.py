"""The whole study of separability as parts, each of which is done or is not: what an interrupted study goes on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

from service.experiments.layer_clouds import CloudReader
from service.experiments.progress import tell_waiting
from service.experiments.runs import no_network
from service.experiments.separability_questions import QUESTIONS as ONE_DATASET
from service.experiments.separability_scaling import LENGTHS, TEXTS, scaling, unscaled
from service.experiments.separability_transfer import transfer, untransferred
from service.experiments.separate_layers import Inquiry, Outcome, missing, separate
from service.measures.classifiers import CLASSIFIERS
from service.networks.checkpoints import CheckpointSource
from service.networks.datasets import USUAL, Choice, Items
from service.settings import Settings
from service.storage.database import open_store, publish


class Part(Protocol):
    """Something that is asked of one checkpoint."""

    @property
    def source(self) -> CheckpointSource: ...

    @property
    def label(self) -> str:
        """What it is, for people."""
        ...

    def lacks(self, reader: CloudReader) -> bool:
        """Whether the store lacks some of its answer."""
        ...

    def answer(self, reader: CloudReader) -> Outcome:
        """Find what is lacking, and record it."""
        ...


@dataclass(frozen=True)
class Questions:
    """Inquiries about one checkpoint on one dataset."""

    source: CheckpointSource
    dataset: str
    choice: Choice
    inquiries: tuple[Inquiry, ...]

    @property
    def label(self) -> str:
        """What it is, for people."""
        return f"{self.source.checkpoint.label} on {_short(self.dataset)}"

    def lacks(self, reader: CloudReader) -> bool:
        """Whether the store lacks some of its answer."""
        key = reader.items(self.dataset, self.choice).dataset.name
        return bool(missing(reader.store, reader.checkpoint, key, self.inquiries, reader.on_wait))

    def answer(self, reader: CloudReader) -> Outcome:
        """Find what is lacking, and record it."""
        return separate(reader, self.dataset, self.choice, self.inquiries)


@dataclass(frozen=True)
class Transfer:
    """Two datasets against each other."""

    source: CheckpointSource
    datasets: tuple[str, str]
    choice: Choice
    from_layer: int
    seeds: int

    @property
    def label(self) -> str:
        """What it is, for people."""
        return f"{self.source.checkpoint.label}: {' and '.join(map(_short, self.datasets))}"

    def lacks(self, reader: CloudReader) -> bool:
        """Whether the store lacks some of its answer."""
        return bool(untransferred(reader, self.datasets, self.choice, self.from_layer, self.seeds))

    def answer(self, reader: CloudReader) -> Outcome:
        """Find what is lacking, and record it."""
        return transfer(reader, self.datasets, self.choice, self.from_layer, self.seeds)


@dataclass(frozen=True)
class Scaling:
    """The grid of numbers of texts and lengths."""

    source: CheckpointSource
    dataset: str
    texts: tuple[int, ...]
    lengths: tuple[int, ...]
    from_layer: int

    @property
    def label(self) -> str:
        """What it is, for people."""
        return f"{self.source.checkpoint.label}: texts and lengths of {_short(self.dataset)}"

    def lacks(self, reader: CloudReader) -> bool:
        """Whether the store lacks some of its answer."""
        return bool(unscaled(reader, self.dataset, self.texts, self.lengths, self.from_layer))

    def answer(self, reader: CloudReader) -> Outcome:
        """Find what is lacking, and record it."""
        return scaling(reader, self.dataset, self.texts, self.lengths, self.from_layer)


def _short(dataset: str) -> str:
    return dataset.rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Study:
    """What the whole study asks: `datasets` in the order given, the first of which all questions are asked on."""

    datasets: tuple[str, ...]
    choice: Choice = USUAL
    from_layer: int = 0
    seeds: int = 5
    as_released: bool = False
    texts: tuple[int, ...] = TEXTS
    lengths: tuple[int, ...] = LENGTHS
    classifiers: tuple[str, ...] = field(default=tuple(CLASSIFIERS))

    def parts(self, sources: Sequence[CheckpointSource]) -> Iterator[Part]:
        """Separability at every checkpoint of a model, and every other question at its last one."""
        base = Inquiry(from_layer=self.from_layer, seeds=self.seeds)
        for source in sources:
            yield Questions(source, self.datasets[0], self.choice, (base,))
        last = sources[-1]
        yield Questions(last, self.datasets[0], self.choice, self._inquiries())
        for dataset in self.datasets[1:]:
            yield Questions(last, dataset, self.choice, (base,))
        for first, second in combinations(self.datasets, 2):
            yield Transfer(last, (first, second), self.choice, self.from_layer, self.seeds)
        if self.texts and self.lengths:
            yield Scaling(last, self.datasets[0], self.texts, self.lengths, self.from_layer)

    def _inquiries(self) -> tuple[Inquiry, ...]:
        def asked(question: str, classifier: str = "logistic", from_layer: int = self.from_layer) -> Inquiry:
            return Inquiry(question, classifier, from_layer, self.seeds)

        found = [asked("separability", classifier) for classifier in self.classifiers]
        found += [asked("separability", from_layer=1)] if self.from_layer == 0 else []
        found += [asked(question) for question in ONE_DATASET]
        found += [asked("released")] if self.as_released else []
        return tuple(found)


def asked_inquiries(
    classifiers: Sequence[str], from_layer: int, seeds: int, as_released: bool, mask: Sequence[int]
) -> tuple[Inquiry, ...]:
    """What a separate command asks. Raises UnknownName, BadInput."""
    found = [Inquiry("mask", "logistic", from_layer, seeds, tuple(mask))] if mask else []  # first: it may be refused
    found += [Inquiry("separability", name, from_layer, seeds) for name in classifiers]
    found += [Inquiry("released", "logistic", from_layer, seeds)] if as_released else []
    return tuple(found)


def asked_study(
    datasets: Sequence[str] | None,
    texts: int | None,
    length: int | None,
    last: bool,
    from_layer: int,
    seeds: int,
    as_released: bool,
    scaling_texts: Sequence[int] | None,
    scaling_lengths: Sequence[int] | None,
    classifiers: Sequence[str] | None,
) -> Study:
    """The study that a command line or a deployment's parameters ask for. Raises UnknownName."""
    return Study(
        tuple(datasets or ("python-reference", "library-docstrings")),
        Choice(texts, length, last),
        from_layer,
        seeds,
        as_released,
        tuple(scaling_texts or TEXTS),
        tuple(scaling_lengths or LENGTHS),
        *([tuple(classifiers)] if classifiers else []),
    )


@dataclass(frozen=True)
class StudyPlan:
    """The parts that were asked for, and those of them that the store lacks something of."""

    parts: tuple[Part, ...]
    todo: tuple[Part, ...]

    @property
    def models(self) -> list[str]:
        """The models that are asked about, each once."""
        return sorted({part.source.checkpoint.model for part in self.parts})

    def line(self, outcomes: Sequence[Outcome]) -> str:
        """What was done, for people."""
        asked, rows = sum(one.questions for one in outcomes), sum(one.rows for one in outcomes)
        done = f"{asked} questions answered, {rows:,} rows" if outcomes else "nothing is missing"
        there = len(self.parts) - len(self.todo)
        already = f"; {there} of {len(self.parts)} parts were there already" if there and outcomes else ""
        return f"{', '.join(self.models)}: {done}{already}"


def plan(settings: Settings, parts: Sequence[Part], window: int | None, sample: int | None) -> StudyPlan:
    """What of the parts is missing; opens the store, loads no network.

    Raises UnknownName, BadInput, NetworkMismatch, StoreBusy, StoreNotMigrated, StoreNotWritable.
    """
    store = open_store(settings.store, settings.lock_wait, tell_waiting)
    opened: dict[tuple[str, Choice], Items] = {}
    todo = []
    for part in parts:
        reader = CloudReader(store, part.source.checkpoint, no_network, window, sample, opened=opened)
        todo += [part] if part.lacks(reader) else []
    if not todo:
        publish(store, tell_waiting)
    return StudyPlan(tuple(parts), tuple(todo))
