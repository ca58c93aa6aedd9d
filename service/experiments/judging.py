"""How often fine-tuned classifiers are right, in the distribution that they were tuned on and out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from service.experiments.measure_rows import measure_rows
from service.experiments.runs import ended_run, now
from service.measures.declaration import Declared
from service.networks.checkpoints import CheckpointSource
from service.networks.fine_tuning import load_classifier
from service.networks.labelled_texts import LabelledTexts
from service.storage.answers import ask
from service.storage.database import OnWait, Store
from service.storage.finding_rows import Findings, record_findings

EXPERIMENT = "judge_classifiers"
ACCURACY = Declared(
    name="classifier_accuracy",
    version=1,
    subject="checkpoint",
    unit="share",
    lower=0.0,
    upper=1.0,
    source="share of labelled texts whose class is told rightly",
    std_error="binomial, over texts",
)


@dataclass(frozen=True)
class Judging:
    """The labelled texts that fine-tunings are judged on, and which class of them each of a network's own stands for."""

    store: Store
    inside: LabelledTexts
    outside: LabelledTexts
    classes: tuple[int, ...] = ()
    device: str = "auto"
    flow_run_id: str | None = None
    on_wait: OnWait = None

    @property
    def splits(self) -> dict[str, LabelledTexts]:
        """The texts by what they are to the fine-tunings."""
        return {"in-distribution": self.inside, "out-of-distribution": self.outside}

    def lacks(self, source: CheckpointSource) -> list[str]:
        """The splits that a checkpoint was not judged on. Raises StoreBusy, SummaryMissing where nothing was published."""
        query = "select split, dataset from lab.classifier_accuracies where model = ? and revision = ?"
        known = ask(self.store, query, [source.checkpoint.model, source.checkpoint.revision]).to_pylist()
        there = {(row["split"], row["dataset"]) for row in known}
        return [split for split, texts in self.splits.items() if (split, texts.name) not in there]

    def judge(self, source: CheckpointSource) -> int:
        """Judge a checkpoint, which the store knows, on the splits that it was not judged on, and record it; how many they
        were.

        Raises NetworkMismatch, StoreBusy.
        """
        begun, lacking = now(), self.lacks(source)
        if not lacking:
            return 0
        labels = max(*self.inside.labels, *self.outside.labels) + 1
        classifier = load_classifier(source.location, labels, self.classes, source.hub_revision, self.device)
        for split in lacking:
            texts = self.splits[split]
            told, _ = classifier.predictions(texts)
            share = float((told == np.array(texts.labels)).mean())
            self._record(source, split, texts, share, begun, classifier.device)
        return len(lacking)

    def _record(
        self, source: CheckpointSource, split: str, texts: LabelledTexts, share: float, begun: datetime, device: str
    ) -> None:
        row = {
            "measure": ACCURACY.name,
            "version": ACCURACY.version,
            "variant": split,
            "value": share,
            "std_error": math.sqrt(share * (1 - share) / len(texts)),
            "n_used": len(texts),
            "n_dropped": 0,
        }
        identity = source.checkpoint.checkpoint_id
        about = {"split": split, "classes": list(self.classes)}
        run = ended_run(EXPERIMENT, about, begun, identity, texts.name, device=device, flow_run_id=self.flow_run_id)
        found = Findings(run, identity, texts.name, {"checkpoint_metrics": [row]}, measure_rows([ACCURACY]))
        record_findings(self.store, found, self.on_wait)
