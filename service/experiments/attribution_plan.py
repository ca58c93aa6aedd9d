"""What of an attribution is missing, found out before any flow starts: a repeated command learns here that nothing is."""

from __future__ import annotations

from collections.abc import Sequence

from service.experiments.attribute_concepts import Attributer
from service.experiments.attribution_judging import lacking
from service.experiments.attribution_question import Ranking
from service.experiments.attribution_request import Question
from service.experiments.attribution_study import Study
from service.experiments.counterfactual_rows import by_removal
from service.experiments.probe_agreement import comparisons
from service.experiments.probe_concepts import Prober
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
    if _lacks(study.probers(sources, question.name)):
        return False
    attributer = study.attributer(sources, study.layer(sources))
    if attributer.lacking():
        return False
    if any(lacking(one) for one in study.judgings(attributer)):
        return False
    return _counterfactuals_are_there(study, sources)


def _counterfactuals_are_there(study: Study, sources: Sequence[CheckpointSource]) -> bool:
    attributer = study.attributer(sources, study.layer(sources))
    return all(_is_there(study, attributer, ranking, sources) for ranking in study.question.rankings)


def _is_there(study: Study, attributer: Attributer, ranking: Ranking, sources: Sequence[CheckpointSource]) -> bool:
    question, trainings = study.question, study.trainings(attributer, ranking)
    base = question.base
    if base is None:
        return True
    jobs = {name: one.job for name, one in trainings.items()}
    if not base.are_trained(jobs) or not base.has_untrained(question.demands.members):
        return False
    without = dict(zip(base.trained(jobs), trainings.values(), strict=True))
    if study.judge(attributer, ranking).lacking(without):
        return False
    unchanged = [*base.untrained(question.demands.members), *sources]
    ensembles = [
        (study.ensemble_without(removal, attributer, ranking), networks)
        for removal, networks in by_removal(without).items()
    ]
    if any(_lacks(study.probers(networks, name)) for name, networks in [*ensembles, (question.name, unchanged)]):
        return False
    return not any(one.lacks() for one in study.comparisons(attributer, ranking, without))


def _lacks(probers: Sequence[Prober]) -> bool:
    """Whether some are not probed, or not compared."""
    return any(one.lacks() for one in probers) or any(one.lacks() for one in comparisons(probers))
