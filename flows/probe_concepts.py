"""Where in a network does a concept sit? One task a checkpoint, and one a comparison of probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import artifact_key, leave_rows, tag_run
from flows.failures import in_one_line, raise_together
from flows.networks import LastLoaded
from flows.parameters import Characters, Count, Layer, Place, Seconds, States, last_part
from flows.parts import outcomes_of, part
from flows.progress_artifact import progress_shown, say
from service.experiments.probe_agreement import Compared, Comparison, comparisons
from service.experiments.probe_concepts import Outcome, Prober
from service.experiments.probe_plan import asked_probing
from service.experiments.probe_request import Asked, asked_penalties
from service.networks.checkpoints import load
from service.networks.datasets import Choice
from service.storage.database import Store, open_store, publish

FAILED = "checkpoints could not be probed"
SHOWN = """
select coalesce(model, ensemble) as network, members, step, concept, layer, penalty, round(strength, 4) as strength,
       round(accuracy, 4) as accuracy, round(accuracy_std, 4) as std, round(auroc, 4) as auroc,
       round(selectivity, 4) as selectivity, round(chance, 4) as chance, round(share_of_weights_50, 3) as share_of_weights_50,
       round(nonzero, 1) as nonzero, seeds
from lab.concept_probes where ensemble = ? and dataset = ? and labels = 'real'
order by model nulls last, step, concept, penalty, strength, layer
"""


@part("probe a checkpoint", "{prober.checkpoint.label}")
def probe_checkpoint(prober: Prober) -> Outcome:
    """Probe one checkpoint and publish what was found."""
    outcome = prober.probe()
    publish(prober.reader.store)
    get_run_logger().info("%d probes in %.1f s", outcome.probes, outcome.seconds)
    return outcome


@part("compare probes", "{label}")
def compare_probes(label: str, compare: Callable[[], Compared], store: Store) -> Compared:
    """Compare pairs of probes and publish what was found."""
    outcome = compare()
    publish(store)
    get_run_logger().info("%d pairs of probes in %.1f s", outcome.rows, outcome.seconds)
    return outcome


def probe_name() -> str:
    """``gpt2, gpt2-medium on imdb: even``."""
    given = flow_run.parameters
    models = given.get("ensemble") or ", ".join(map(last_part, given["models"]))
    return f"{models} on {last_part(given['dataset'])}: {', '.join(given['concepts'])}"


@flow(name="probe-concepts", flow_run_name=probe_name, persist_result=False)
@in_one_line
def probe_concepts(
    models: Annotated[list[str], Field(min_length=1)],
    concepts: Annotated[list[str], Field(min_length=1)],
    revisions: list[str] | None = None,
    dataset: str = "python-reference",
    ensemble: str | None = None,
    penalty: Literal["l2", "l1", "both"] = "l2",
    seeds: Count = 5,
    folds: Annotated[int, Field(ge=2)] = 5,
    positions: Literal["all", "not-first", "not-special"] = "all",
    layers: list[Layer] | None = None,
    texts: Count | None = None,
    length: Count | None = None,
    last: bool = False,
    window: Characters | None = None,
    sample: States | None = None,
    names: list[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: Count | None = None,
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Outcome]:
    """Fit linear probes of concepts at every layer of one network, or of several as an ensemble; record what the store lacks.

    The lines below are the run form of the Prefect UI.

    Args:
        models: Hub names or local folders; several are the members of an ensemble.
        concepts: NAME=FORM or FORM: column:even, classes:0,6, json:FILE, token:STRING, regex:PATTERN, contains:PATTERN.
        revisions: Revisions or patterns such as step*; all checkpoints if not given.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        ensemble: What the ensemble is called; the models' names joined if not given.
        penalty: l2, l1 along a path of strengths, or both.
        seeds: How many choices of held-out items.
        folds: One part in so many of the items is held out, whole.
        positions: Which tokens are probed.
        layers: All of them if not given.
        texts: How many windows of text are read.
        length: How many tokens of each; shorter windows are skipped.
        last: Keep the last token of each text alone.
        window: Characters in a window of text.
        sample: States kept of each layer.
        names: What to call local models in the store, one for each.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        batch_size: Windows in a batch.
        trust_remote_code: Run code that a model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    asked = Asked(asked_penalties(penalty), seeds, folds, positions, tuple(layers) if layers else None)
    choice = Choice(texts, length, last)
    probing = asked_probing(
        models, concepts, revisions, names, dataset, choice, window, sample, asked, ensemble
    )  # fmt: skip
    opened = open_store(store, lock_wait, say)
    networks = LastLoaded(partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code))
    probers = probing.probers(opened, networks.take, batch_size, str(flow_run.id), say, device)
    subjects = *probing.models, "probes"
    tag_run(*subjects)
    with progress_shown(artifact_key("progress", *subjects)):
        outcomes, failures = probed(probers, opened)
    key = artifact_key("probes", probing.ensemble)
    leave_rows(opened, SHOWN, [probing.ensemble, probing.items.dataset.name], key, f"probes of {probing.ensemble}")
    raise_together(failures, len(outcomes) + len(failures), FAILED)
    return outcomes


def probed(probers: Sequence[Prober], store: Store) -> tuple[list[Outcome], list[BaseException]]:
    """What the store lacked of each checkpoint, then of the comparisons where all were probed, and what failed."""
    todo = [one for one in probers if one.lacks()]
    get_run_logger().info("%d of %d checkpoints to probe", len(todo), len(probers))
    found, failures = outcomes_of(probe_checkpoint, [(one.checkpoint.label, (one,)) for one in todo])
    if not failures:
        failures = compared(comparisons(probers), store)
    publish(store)
    return found, failures


def compared(asked: Sequence[Comparison], store: Store) -> list[BaseException]:
    """Make the comparisons that the store lacks; what failed."""
    # methods: Prefect goes through all that a task is given, here the items of both networks of every pair
    todo = [(one.label, (one.label, one.compare, store)) for one in asked if one.lacks()]
    _, failures = outcomes_of(compare_probes, todo, "comparisons")
    return failures
