"""What of an attribution is missing, found out before any flow starts: a repeated command learns here that nothing is."""

from __future__ import annotations

from collections.abc import Sequence

from service.experiments.attribute_concepts import Attributer
from service.experiments.attribution_judging import lacking
from service.experiments.attribution_question import Ranking
from service.experiments.attribution_request import Question
from service.experiments.attribution_study import Study
from service.experiments.counterfactual_rows import by_removal
from service.experiments.progress import tell_waiting
from service.networks.checkpoints import CheckpointSource
from service.storage.database import publish


def members_of(question: Question) -> Sequence[CheckpointSource]:
    """The networks of the ensemble; trains those that are to be trained and are not there."""
    if question.base is None or not question.demands.members:
        return question.sources
    return question.base.trained(question.base.members(question.demands.members))


def is_answered(study: Study) -> bool:
    """Whether the store and the folder of networks lack nothing of a question; loads no network, trains none.

    Raises BadInput, StoreBusy, StoreNotMigrated.
    """
    question, base = study.question, study.question.base
    if base is not None and not base.are_trained(study.first_trainings()):
        return False
    publish(study.store, tell_waiting)
    sources = members_of(question)
    if any(one.lacks() for one in study.probers(sources, question.name)):
        return False
    attributer = study.attributer(sources, study.layer(sources))
    if attributer.lacking():
        return False
    if any(lacking(one) for one in study.judgings(attributer)):
        return False
    return _counterfactuals_are_there(study, sources)


def _counterfactuals_are_there(study: Study, sources: Sequence[CheckpointSource]) -> bool:
    attributer = study.attributer(sources, study.layer(sources))
    return all(_is_there(study, attributer, ranking) for ranking in study.question.rankings)


def _is_there(study: Study, attributer: Attributer, ranking: Ranking) -> bool:
    base, trainings = study.question.base, study.trainings(attributer, ranking)
    if base is None:
        return True
    jobs = {name: one.job for name, one in trainings.items()}
    if not base.are_trained(jobs):
        return False
    without = dict(zip(base.trained(jobs), trainings.values(), strict=True))
    if study.judge(attributer, ranking).lacking(without):
        return False
    return not any(
        prober.lacks()
        for removal, networks in by_removal(without).items()
        for prober in study.probers(networks, study.ensemble_without(removal, attributer, ranking))
    )
