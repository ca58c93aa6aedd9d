"""A question of attribution with a store to answer it in: how networks are probed, attributed, trained again and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.errors import BadInput
from service.experiments.attribute_concepts import Attributer, Ensemble, Subject
from service.experiments.attribution_judging import Halves, Judging, Mislabelled
from service.experiments.attribution_question import OF_GRADIENTS, Ranking
from service.experiments.attribution_request import Question
from service.experiments.counterfactual_rows import Judge, by_removal
from service.experiments.counterfactual_study import Without, unchanged
from service.experiments.probe_agreement import Comparison, Side
from service.experiments.probe_concepts import Prober
from service.experiments.probe_plan import Probing
from service.experiments.removals import NOTHING, Ranked
from service.networks.checkpoints import CheckpointSource
from service.networks.item_features import Member, unfitted
from service.networks.loading import Network
from service.networks.retraining import Retraining
from service.storage.answers import ask
from service.storage.attribution_rows import About
from service.storage.database import OnWait, Store
from service.subjects import content_id

BEST_LAYER = """
select layer from lab.concept_fits
where concept_id = $concept and positions = $positions and folds = $folds and penalty = 'l2' and labels = 'real'
  and stream = 'residual' and seed < $seeds and list_contains($revisions, revision)
group by layer order by avg(selectivity) desc, layer limit 1
"""


@dataclass(frozen=True, eq=False)
class Study:
    """A question with a store to answer it in."""

    question: Question
    store: Store
    network: Callable[[CheckpointSource], Network]
    flow_run_id: str | None = None
    on_wait: OnWait = None
    device: str = "cpu"

    def probers(self, sources: Sequence[CheckpointSource], ensemble: str) -> list[Prober]:
        """How these networks are probed for the concept, as an ensemble; none without a concept."""
        question = self.question
        if question.concept is None:
            return []
        items = question.targets.items
        sample = question.sample
        probing = Probing(tuple(sources), items, (question.concept,), question.probes, ensemble, None, sample)
        return probing.probers(self.store, self.network, None, self.flow_run_id, self.on_wait, self.device)

    def layer(self, sources: Sequence[CheckpointSource]) -> int | None:
        """The layer whose probe is attributed: the one asked, else where the ensemble's probes are the most selective. None
        without a concept. Raises BadInput where nothing is probed yet."""
        question = self.question
        if question.concept is None or question.layer is not None:
            return question.layer
        given = {
            "revisions": [source.checkpoint.revision for source in sources],
            "seeds": question.probes.seeds,
            "concept": question.concept.concept.concept_id,
            "positions": question.probes.positions,
            "folds": question.probes.folds,
        }
        found = ask(self.store, BEST_LAYER, given).to_pylist()
        if not found:
            raise BadInput(f"{question.name} is not probed for {question.concept.concept.name!r} yet")
        return int(found[0]["layer"])

    def attributer(self, sources: Sequence[CheckpointSource], layer: int | None) -> Attributer:
        """How the ensemble's answers are attributed."""
        question, probes = self.question, self.question.probes
        subject = Subject(
            question.train, question.targets, question.concept, layer, probes.positions, probes.folds, probes.seeds
        )
        ensemble = Ensemble(question.name, tuple(sources), self.network)
        return Attributer(self.store, ensemble, subject, question.wanted, self.flow_run_id, self.on_wait)

    def trainings(self, attributer: Attributer, ranking: Ranking) -> dict[str, Without]:
        """The networks of the counterfactual, by name: the ensemble itself, and those without some items."""
        question, base = self.question, self.question.base
        if base is None:
            return {}
        scores, train = attributer.scores(ranking.method), question.train
        values = scores.mean if ranking.signed else scores.magnitude
        ranked = Ranked(scores.train_items, values, train.values > 0, train.groups)
        members = question.demands.members
        return {**unchanged(base, members), **base.without(ranked, question.removals, members)}

    def ensemble_without(self, removal: str, attributer: Attributer, ranking: Ranking) -> str:
        """What the networks of a removal are called together."""
        if removal == NOTHING.name:
            return self.question.name
        told = content_id("removals", attributer.identity(ranking.method), ranking.signed)
        return f"{self.question.name} without {removal} ({told[:6]})"

    def judge(self, attributer: Attributer, ranking: Ranking) -> Judge:
        """What notes the networks of the counterfactual. Raises BadInput without a concept, or where nothing is trained."""
        question, layer, probes = self.question, attributer.subject.layer, self.question.probes
        base = question.base
        if question.concept is None or layer is None or base is None:
            raise BadInput("what becomes of a concept without its items is asked with --concept and --retrain")
        about = About(
            attribution_id=attributer.identity(ranking.method),
            ensemble=question.name,
            concept_id=question.concept.concept.concept_id,
            layer=layer,
            method=ranking.name,
            positions=probes.positions,
            folds=probes.folds,
            probe_seeds=probes.seeds,
            dataset=question.train.items.dataset.name,
        )
        return Judge(
            self.store,
            about,
            question.targets.items,
            question.train.items,
            len(question.train.ids),
            base.untrained(question.demands.members),
            self.network,
            self.flow_run_id,
            self.on_wait,
        )

    def comparisons(
        self, attributer: Attributer, ranking: Ranking, trainings: Mapping[CheckpointSource, Without]
    ) -> list[Comparison]:
        """The probes of networks that nothing was taken from, each against that of its own seed without some items."""
        question, removals = self.question, by_removal(trainings)
        unchanged, found = self.probers(removals.pop(NOTHING.name), question.name), list[Comparison]()
        for removal, sources in removals.items():
            ensemble = self.ensemble_without(removal, attributer, ranking)
            pairs = tuple(
                (Side(one, one.concepts[0]), Side(other, other.concepts[0]))
                for one, other in zip(unchanged, self.probers(sources, ensemble), strict=True)
            )
            found.append(Comparison("retrained", pairs, ensemble))
        return found

    def refuse_early(self) -> None:
        """Before anything is trained, raise BadInput for a layer that the networks do not have, one without parameters below
        it, or more dimensions than there are parameters."""
        question, layer = self.question, self.question.layer
        if question.wanted.output == "probe" and layer is None:
            return
        network = self.network(question.sources[0])
        if layer is not None and layer > network.blocks.layers:
            label = network.checkpoint.model
            raise BadInput(f"layer {layer} is not there: {label} has layers 0 to {network.blocks.layers}")
        probe = None if layer is None else unfitted(layer)
        member = Member(network, question.wanted.output, probe)
        for method in set(question.wanted.methods) & set(OF_GRADIENTS):
            question.wanted.width(method, len(question.train.ids), member.parameters(question.train))

    def first_trainings(self) -> dict[str, Retraining]:
        """The trainings that no score decides: the ensemble, and what the attribution is judged by."""
        question, base, found = self.question, self.question.base, dict[str, Retraining]()
        if base is None:
            return found
        found |= base.members(question.demands.members)
        for judging in self.judgings(self.attributer(question.sources, None)):
            found |= judging.jobs
        return found

    def judgings(self, attributer: Attributer) -> list[Judging]:
        """What is trained to judge the attribution by."""
        question, base, found = self.question, self.question.base, list[Judging]()
        if base is not None and question.demands.halves:
            found.append(
                Halves(f"{question.name}: {question.demands.halves} halves", attributer, base, question.demands.halves)
            )
        if base is not None and question.demands.mislabel:
            found.append(Mislabelled(f"{question.name}: wrong labels", attributer, base, question.demands.mislabel))
        return found
