"""Do layers live in different spaces? As flows: one network asked what is wanted, or the whole study on several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.failures import in_one_line
from flows.parameters import Characters, Count, Layer, Place, Seconds, States, last_part
from flows.progress_artifact import say
from flows.separability import Asking, answered
from service.experiments.separability_study import Part, Questions, asked_inquiries, asked_study
from service.experiments.separate_layers import Outcome
from service.networks.checkpoints import find_checkpoints
from service.networks.datasets import Choice
from service.storage.database import open_store

Classifier = Literal["logistic", "tree", "centroid", "lda"]


def separate_name() -> str:
    """``gpt2 on imdb: separability``."""
    given = flow_run.parameters
    return f"{given.get('name') or last_part(given['model'])} on {last_part(given['dataset'])}: separability"


@flow(name="separate-layers", flow_run_name=separate_name, persist_result=False)
@in_one_line
def separate_layers(
    model: str,
    revisions: list[str] | None = None,
    dataset: str = "python-reference",
    classifiers: list[Classifier] | None = None,
    texts: Count | None = None,
    length: Count | None = None,
    last: bool = False,
    from_layer: Literal[0, 1] = 0,
    seeds: Count = 5,
    mask: list[Layer] | None = None,
    as_released: bool = False,
    window: Characters | None = None,
    sample: States | None = None,
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: Count | None = None,
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Outcome]:
    """Tell from a single state which layer it came from, at every checkpoint of a model; record what the store lacks.

    The lines below are the run form of the Prefect UI.

    Args:
        model: A hub name, a checkpoint folder, or a folder of checkpoint folders.
        revisions: Revisions or patterns such as step*; all checkpoints if not given.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        classifiers: logistic if not given.
        texts: How many windows of text are read.
        length: How many tokens of each; shorter windows are skipped.
        last: Keep the last token of each text alone.
        from_layer: 0 with the input embedding, 1 without it.
        seeds: How many choices of held-out texts.
        mask: Dimensions to do without.
        as_released: Also ask by the study's own procedure.
        window: Characters in a window of text.
        sample: States kept of each layer.
        name: What to call a local model in the store.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        batch_size: Windows in a batch.
        trust_remote_code: Run code that the model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    asked = asked_inquiries(classifiers or ["logistic"], from_layer, seeds, as_released, mask or [])
    choice = Choice(texts, length, last)
    parts = [Questions(source, dataset, choice, asked) for source in find_checkpoints(model, revisions or (), name)]
    opened = open_store(store, lock_wait, say)
    asking = Asking(opened, window, sample, device, dtype, batch_size, trust_remote_code)
    return answered(parts, asking, parts[0].source.checkpoint.model, "separability")


def study_name() -> str:
    """``gpt2, gpt2-medium: the study of separability``."""
    return f"{', '.join(map(last_part, flow_run.parameters['models']))}: the study of separability"


@flow(name="separability-study", flow_run_name=study_name, persist_result=False)
@in_one_line
def separability_study(
    models: Annotated[list[str], Field(min_length=1)],
    revisions: list[str] | None = None,
    datasets: list[str] | None = None,
    texts: Count | None = None,
    length: Count | None = None,
    last: bool = False,
    from_layer: Literal[0, 1] = 0,
    seeds: Count = 5,
    as_released: bool = False,
    scaling_texts: list[Count] | None = None,
    scaling_lengths: list[Count] | None = None,
    classifiers: list[Classifier] | None = None,
    window: Characters | None = None,
    sample: States | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: Count | None = None,
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> list[Outcome]:
    """The whole study of separability: every question at the last checkpoint of each model, separability at all of them.

    The lines below are the run form of the Prefect UI.

    Args:
        models: Hub names or local folders; accuracy against size is over all of them.
        revisions: Revisions or patterns such as step*; all checkpoints if not given.
        datasets: The first is asked every question, any two of them about transfer.
        texts: How many windows of text are read.
        length: How many tokens of each; shorter windows are skipped.
        last: Keep the last token of each text alone.
        from_layer: 0 with the input embedding, 1 without it.
        seeds: How many choices of held-out texts.
        as_released: Also ask by the study's own procedure.
        scaling_texts: Numbers of texts of the grid.
        scaling_lengths: Tokens of each text in the grid.
        classifiers: All of them if not given.
        window: Characters in a window of text.
        sample: States kept of each layer.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        batch_size: Windows in a batch.
        trust_remote_code: Run code that the models' repositories bring.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    study = asked_study(
        datasets, texts, length, last, from_layer, seeds, as_released, scaling_texts, scaling_lengths, classifiers
    )
    parts = [part for model in models for part in study.parts(find_checkpoints(model, revisions or ()))]
    opened = open_store(store, lock_wait, say)
    asking = Asking(opened, window, sample, device, dtype, batch_size, trust_remote_code)
    return answered(parts, asking, *_models(parts), "separability-study")


def _models(parts: Sequence[Part]) -> list[str]:
    return sorted({part.source.checkpoint.model for part in parts})
