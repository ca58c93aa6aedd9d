"""Is an attribution right? What it foretells of networks trained on halves of the items, and which wrong labels it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.experiments.attribute_concepts import EXPERIMENT, Attributer
from service.experiments.counterfactual_study import Base
from service.experiments.progress import Progress, tell
from service.experiments.runs import ended_run, now
from service.measures.attribution import foretold, found_wrong, suspicion
from service.measures.attribution_quality import Detection, auroc_error
from service.measures.projection import Projection
from service.networks.checkpoints import CheckpointSource
from service.networks.class_labels import class_numbers
from service.networks.item_features import Member
from service.networks.item_sides import Side
from service.networks.retraining import Retraining
from service.storage.attribution_rows import Quality, known_qualities, record_attributions

DATAMODELING = "linear-datamodeling-score"
MISLABELLED = ("mislabelled-auroc", "mislabelled-recall")


class Judging(Protocol):
    """What is trained to judge an attribution by, and the judgement."""

    @property
    def label(self) -> str:
        """What it is called."""
        ...

    @property
    def attributer(self) -> Attributer:
        """Whose attribution is judged."""
        ...

    @property
    def by(self) -> str:
        """What is made for it, in words."""
        ...

    @property
    def wants_probes(self) -> bool:
        """Whether its networks are asked what the attributed ones are, so that they need the concept's probes."""
        ...

    @property
    def qualities(self) -> tuple[str, ...]:
        """What it says of each method."""
        ...

    @property
    def jobs(self) -> dict[str, Retraining]:
        """Its trainings by name."""
        ...

    def sources(self) -> list[CheckpointSource]:
        """Its networks; trains those that are not there. Raises BadInput, StoreBusy."""
        ...

    def judge(self) -> list[Quality]:
        """How good the attribution is by each method. Raises BadInput, NetworkMismatch, SummaryMissing."""
        ...


@dataclass(frozen=True, eq=False)
class Halves:
    """By networks that are trained on random halves of the items: does the sum of a half's scores foretell their outputs?"""

    label: str
    attributer: Attributer
    base: Base
    count: int

    @property
    def by(self) -> str:
        """How many networks."""
        return f"{self.count} networks on halves"

    @property
    def wants_probes(self) -> bool:
        """They give the attributed output."""
        return True

    @property
    def qualities(self) -> tuple[str, ...]:
        """The linear datamodeling score."""
        return (DATAMODELING,)

    @property
    def jobs(self) -> dict[str, Retraining]:
        """Its trainings by name."""
        return self.base.halves(self.attributer.subject.train.ids, self.count, self.attributer.wanted.seed)

    def sources(self) -> list[CheckpointSource]:
        """Its networks; trains those that are not there. Raises BadInput, StoreBusy."""
        return self.base.trained(self.jobs)

    def judge(self) -> list[Quality]:
        """The linear datamodeling score of each method. Raises BadInput, NetworkMismatch, SummaryMissing."""
        attributer, outputs = self.attributer, []
        sources = self.sources()
        for done, source in enumerate(sources):
            tell(Progress("judge", source.checkpoint.label, done, len(sources), "networks"))
            outputs.append(attributer.member(source).outputs(attributer.subject.targets))
        items = attributer.subject.train.ids
        kept = np.array([[item not in job.removed for item in items] for job in self.jobs.values()])
        found = []
        for method in attributer.wanted.methods:
            score = foretold(attributer.scores(method).values, kept, outputs)
            said = (
                [f"{score.dropped} targets whose outputs or scores do not vary are left out"] if score.dropped else []
            )
            note = "; ".join(
                [f"over {score.subsets} networks trained on halves, mean over {score.tests} targets", *said]
            )
            identity = attributer.identity(method)
            found.append(
                Quality(identity, DATAMODELING, self.by, score.value, score.low, score.high, score.subsets, note)
            )
        return found


@dataclass(frozen=True, eq=False)
class Mislabelled:
    """By a network that is trained with wrong labels for some items: does the attribution find them?

    By TRAK's self-influence; by gradients that point away from those of the same class; by states whose nearest have other
    classes. Recall is among as many as are wrong.
    """

    label: str
    attributer: Attributer
    base: Base
    share: float

    @property
    def by(self) -> str:
        """What share of wrong labels."""
        return f"{self.share:g} of the labels wrong"

    @property
    def wants_probes(self) -> bool:
        """It is asked for its classes."""
        return False

    @property
    def qualities(self) -> tuple[str, ...]:
        """Area under the ROC curve, and recall."""
        return MISLABELLED

    @property
    def jobs(self) -> dict[str, Retraining]:
        """Its training with its name."""
        classes = class_numbers(self.attributer.subject.train.items)
        own = {item: classes[item] for item in self.attributer.subject.train.ids}
        return self.base.mislabelled(own, self.share, self.attributer.wanted.seed)

    def sources(self) -> list[CheckpointSource]:
        """Its network; trains it where it is not there. Raises BadInput, StoreBusy."""
        return self.base.trained(self.jobs)

    def judge(self) -> list[Quality]:
        """How well each method finds the wrong labels. Raises BadInput, NetworkMismatch."""
        attributer, (job,) = self.attributer, self.jobs.values()
        wrong = job.relabelled
        train = attributer.subject.train
        labels = class_numbers(train.items) | dict(wrong)
        side = Side(train.items, train.ids, labels, labels)
        source = self.sources()[0]
        member = Member(attributer.ensemble.network(source), "class")
        attributer.facts[source.checkpoint] = member.network.facts
        numbers = len(side.ids), member.parameters(side)
        width = min(attributer.wanted.width(method, *numbers) for method in attributer.wanted.methods)
        projection = Projection(width, attributer.wanted.seed)
        features = member.features(side, projection, self._told)
        marked = np.array([item in wrong for item in side.ids])
        classes, given, found = side.values, attributer.wanted, list[Quality]()
        for method in given.methods:
            suspicions = suspicion(method, features, classes, given.of(method)["ridge"], given.seed)
            found += detected(
                attributer.identity(method), found_wrong(suspicions, marked), self.by, int(marked.sum()), len(marked)
            )
        return found

    def _told(self, done: int, total: int) -> None:
        tell(Progress("judge", self.label, done, total, "items"))


def lacking(judging: Judging) -> bool:
    """Whether some of it is not recorded. Raises StoreBusy."""
    attributer = judging.attributer
    identities = [attributer.identity(method) for method in attributer.wanted.methods]
    known = known_qualities(attributer.store, identities, attributer.on_wait)
    return any((identity, quality, judging.by) not in known for identity in identities for quality in judging.qualities)


def judged(judging: Judging) -> int:
    """Judge, and record what was found; how much it was. Raises BadInput, NetworkMismatch, SummaryMissing, StoreBusy."""
    begun, attributer = now(), judging.attributer
    found = judging.judge()
    run = ended_run(
        EXPERIMENT,
        {"ensemble": attributer.ensemble.name, "judged by": judging.label, **attributer.wanted.parameters},
        begun,
        *(one.attribution_id for one in found),
        device=str(next(iter(attributer.facts.values())).device if attributer.facts else "cpu"),
        flow_run_id=attributer.flow_run_id,
        seed=attributer.wanted.seed,
    )
    sides = [attributer.subject.train.items.dataset]
    own = {source.checkpoint for source in judging.sources()}
    networks = [(checkpoint, facts) for checkpoint, facts in attributer.facts.items() if checkpoint in own]
    record_attributions(attributer.store, run, networks, sides, qualities=found, on_wait=attributer.on_wait)
    return len(found)


def detected(identity: str, said: Detection, by: str, wrong: int, items: int) -> list[Quality]:
    """AUROC and recall with 95 % intervals, over the items that are wrong."""
    note = f"{wrong} of {items} items had a wrong label"
    spread = 1.96 * auroc_error(said.auroc, wrong, items - wrong)
    error = 1.96 * float(np.sqrt(said.recall * (1 - said.recall) / wrong))
    found = zip(MISLABELLED, ((said.auroc, spread), (said.recall, error)), strict=True)
    return [
        Quality(identity, name, by, value, max(0.0, value - around), min(1.0, value + around), wrong, note)
        for name, (value, around) in found
    ]
