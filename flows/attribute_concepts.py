"""Which training items made a concept, and does it go where they go? Attribution, and trainings without some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import artifact_key, leave_rows, tag_run
from flows.failures import in_one_line, raise_together
from flows.networks import LastLoaded
from flows.parameters import Count, Layer, Place, Seconds, States, last_part
from flows.parts import outcomes_of, part
from flows.probe_concepts import compared, probed
from flows.progress_artifact import progress_shown, say
from service.experiments.attribute_concepts import Attributer
from service.experiments.attribution_judging import Judging, judged, lacking
from service.experiments.attribution_plan import members_of
from service.experiments.attribution_question import RIDGE, TARGETS, Ranking, Wanted, asked_methods
from service.experiments.attribution_request import Demands, asked_attribution
from service.experiments.attribution_study import Study
from service.experiments.counterfactual_rows import Judge, by_removal
from service.experiments.counterfactual_study import Without
from service.experiments.probe_request import Asked
from service.experiments.removals import CONTROLS, NOTHING
from service.networks.checkpoints import CheckpointSource, load
from service.storage.database import open_store, publish

FAILED = "networks could not be judged"
SHOWN = """
select method, side, rank, train_item, score from lab.attributions
where list_contains(string_split(?, ' '), attribution_id) and target_item is null order by method, side desc, rank
"""
REMOVED = """
select removal, removed, networks, round(accuracy, 4) as accuracy, round(accuracy_low, 4) as low,
       round(accuracy_high, 4) as high, round(accuracy_change, 4) as change, round(centroid, 3) as centroid,
       round(network_accuracy, 4) as network_accuracy, moved, at_chance, diffuse
from lab.concept_counterfactuals where attribution_id = ? and method = ? and layer is null order by removal, removed
"""


@part("attribute", "{attributer.ensemble.name}")
def attribute_one(attributer: Attributer) -> list[str]:
    """Attribute an ensemble's answers and publish what was found."""
    methods = attributer.attribute()
    publish(attributer.store)
    get_run_logger().info("attributed by %s", ", ".join(methods))
    return methods


@part("judge a network", "{source.checkpoint.label}")
def judge_one(judge: Judge, source: CheckpointSource, training: Without) -> float | None:
    """Judge a network that was trained again and publish what was found."""
    share = judge.record(source, training)
    publish(judge.store)
    get_run_logger().info("accuracy %s", share)
    return share


@part("judge an attribution", "{judging.label}")
def judge_attribution(judging: Judging) -> int:
    """Judge an attribution by networks that were trained for that, and publish what was found."""
    found = judged(judging)
    publish(judging.attributer.store)
    return found


def attribution_name() -> str:
    """``digits-vit on digits:train: even``."""
    given = flow_run.parameters
    models = given.get("ensemble") or ", ".join(map(last_part, given["models"]))
    return f"{models}: {given.get('concept') or given.get('output')}"


@flow(name="attribute-concepts", flow_run_name=attribution_name, persist_result=False)
@in_one_line
def attribute_concepts(
    models: Annotated[list[str], Field(min_length=1)],
    concept: str | None = None,
    dataset: str | None = None,
    targets: str | None = None,
    revisions: list[str] | None = None,
    ensemble: str | None = None,
    output: str = "probe",
    layer: Layer | None = None,
    methods: list[str] | None = None,
    dimensions: Count | None = None,
    ridge: Annotated[float, Field(ge=0)] = RIDGE,
    keep: float | None = None,
    top: Count = 10,
    target_items: Count = TARGETS,
    remove: str | None = None,
    controls: list[str] | None = None,
    members: Annotated[int, Field(ge=0)] = 0,
    halves: Annotated[int, Field(ge=0)] = 0,
    mislabel: float | None = None,
    signed: bool = False,
    as_released: bool = False,
    sample: States | None = None,
    seeds: Count = 3,
    folds: Annotated[int, Field(ge=2)] = 5,
    networks: Place = "isoscope-networks",
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> None:
    """Put a concept, or networks' own answers, down to training items; train again without these, and look for it.

    What the store and the folder of networks hold is not done again. The lines below are the run form of the Prefect UI.

    Args:
        models: Hub names or local folders; several are the members of an ensemble.
        concept: NAME=FORM or FORM, such as even=classes:0,2,4,6,8; for the output probe.
        dataset: What the networks were trained on.
        targets: The items that the concept is probed on, and whose answers are attributed.
        revisions: Revisions or patterns such as step*; all checkpoints, as one ensemble, if not given.
        ensemble: What the ensemble is called.
        output: probe, class or next-token.
        layer: The layer whose probe is attributed; the one with the most selective probes if not given.
        methods: trak, trak-kernel, trak-released, gradient-cosine, representation, random; items are taken away by the first.
        dimensions: Dimensions that gradients are projected to.
        ridge: What is added to the kernel of gradients, as a share of its mean eigenvalue; 0 is as released.
        keep: The share of TRAK's scores that soft-thresholding leaves.
        top: Items that are recorded each way.
        target_items: The most targets that are read.
        remove: What is taken away, such as top:5%,10%; needs members.
        controls: What else is taken away: random, bottom, exemplars, class-matched.
        members: Networks that are trained from new weights as the ensemble; 0 for those that are named.
        halves: Networks that are trained on random halves of the items, to judge the attribution by.
        mislabel: The share of items whose labels are made wrong in one training, to be found by each method.
        signed: Take away by the mean of the scores over the targets, not by the mean of their sizes.
        as_released: Also attribute by TRAK as released, and take away by that too.
        sample: States kept of each layer of the targets.
        seeds: Probes of each network, by the choice of held-out items.
        folds: One part in so many of the targets is held out from each probe.
        networks: The folder where networks are trained and kept.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    by = asked_methods(methods, as_released)
    wanted = Wanted(output, by, dimensions, ridge, keep, top, target_items)  # type: ignore[arg-type]
    taken = tuple(CONTROLS if controls is None else controls)
    demands = Demands(remove, taken, members, halves, mislabel, signed, as_released)
    probes = Asked(seeds=seeds, folds=folds)
    question = asked_attribution(
        models, concept, dataset, targets, revisions, ensemble, layer, wanted, probes, demands, Path(networks), sample,
        device,
    )  # fmt: skip
    opened = open_store(store, lock_wait, say)
    loaded = LastLoaded(partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code))
    study = Study(question, opened, loaded.take, str(flow_run.id), say, device)
    subjects = question.name, "attribution"
    tag_run(*subjects)
    with progress_shown(artifact_key("progress", *subjects)):
        attributer = answer(study)
    identities = [attributer.identity(method) for method in question.wanted.methods]
    leave_rows(opened, SHOWN, [" ".join(identities)], artifact_key(*subjects), f"attribution of {question.name}")
    for ranking in question.rankings:
        key = artifact_key("counterfactuals", question.name, ranking.name)
        about = [attributer.identity(ranking.method), ranking.name]
        leave_rows(opened, REMOVED, about, key, f"what is left of the concept in {question.name}")


def answer(study: Study) -> Attributer:
    """Everything that is asked and not there: the ensemble, its probes, its attribution, and what is trained to judge both."""
    question, base = study.question, study.question.base
    study.refuse_early()
    if base is not None:
        base.trained(study.first_trainings())
    sources = members_of(question)
    _probed(study, sources, question.name)
    attributer = study.attributer(sources, study.layer(sources))
    if attributer.lacking():
        _, failures = outcomes_of(attribute_one, [(question.name, (attributer,))], "ensembles")
        raise_together(failures, 1, "ensembles could not be attributed")
    if base is None:
        return attributer
    for ranking in question.rankings:
        trainings = study.trainings(attributer, ranking)
        trained = base.trained({name: one.job for name, one in trainings.items()})
        _without(study, attributer, ranking, dict(zip(trained, trainings.values(), strict=True)))
    for judging in study.judgings(attributer):
        if lacking(judging):
            sources = judging.sources()
            if judging.wants_probes:
                _probed(study, sources, judging.label)
            _, failures = outcomes_of(judge_attribution, [(judging.label, (judging,))], "judgements")
            raise_together(failures, 1, "attributions could not be judged")
    return attributer


def _probed(study: Study, sources: Sequence[CheckpointSource], ensemble: str) -> None:
    """Probe networks for the concept, as an ensemble."""
    probers = study.probers(sources, ensemble)
    if probers:
        outcomes, failures = probed(probers, study.store)
        raise_together(failures, len(outcomes) + len(failures), "networks could not be probed")


def _without(
    study: Study, attributer: Attributer, ranking: Ranking, trainings: Mapping[CheckpointSource, Without]
) -> None:
    """Probe and judge the networks that were trained without some items, each removal an ensemble of its own; those before
    their first step belong to the ensemble itself."""
    judge, removals = study.judge(attributer, ranking), by_removal(trainings)
    for removal, sources in removals.items():
        before = judge.untrained if removal == NOTHING.name else ()
        _probed(study, [*before, *sources], study.ensemble_without(removal, attributer, ranking))
    failures = compared(study.comparisons(attributer, ranking, trainings), study.store)
    raise_together(failures, len(removals), "removals could not be compared")
    todo = judge.lacking(trainings)
    outcomes, failures = outcomes_of(
        judge_one, [(source.checkpoint.label, (judge, source, one)) for source, one in todo.items()], "networks"
    )
    raise_together(failures, len(outcomes) + len(failures), FAILED)
