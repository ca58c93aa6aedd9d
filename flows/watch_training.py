"""A training watched while it runs, as a flow: each new checkpoint measured, its losses imported, its spikes told of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import artifact_key, tag_run
from flows.failures import in_one_line, is_absence
from flows.parameters import Characters, Count, Layer, Place, Seconds, States, last_part
from flows.prefect_server import private_server
from flows.progress_artifact import progress_shown, say
from flows.stopping import stoppable, stoppable_if_asked
from flows.watching import Pace, Watch, Watched
from service.experiments.layer_question import ask
from service.experiments.training_news import Kind, News, hearing
from service.experiments.watch_training import Checkpoints, LossCurve, find_training
from service.networks.checkpoints import load
from service.networks.loading import chosen_device
from service.storage.database import open_store
from service.storage.watches import watching


def run_name() -> str:
    """``my-training, watched on python-reference``."""
    given = flow_run.parameters
    return f"{given.get('name') or last_part(given['folder'])}, watched on {last_part(given['dataset'])}"


@flow(name="watch-training", flow_run_name=run_name, persist_result=False)
@in_one_line
def watch_training(
    folder: str,
    dataset: str = "python-reference",
    measures: list[str] | None = None,
    layers: list[Layer] | None = None,
    tokens: Count | None = None,
    window: Characters | None = None,
    sample: States | None = None,
    as_released: bool = False,
    name: str | None = None,
    losses: str | None = None,
    every: Annotated[float, Field(gt=0)] = 5.0,
    until_idle: Annotated[float, Field(gt=0)] | None = None,
    once: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: Count | None = None,
    trust_remote_code: bool = False,
    store: Place = "isoscope-store",
    lock_wait: Seconds = 60.0,
) -> Watched:
    """Measure each checkpoint of a training when it is whole, import the training's losses, and tell of spikes.

    Without `until_idle` and `once` it goes on until it is stopped. Raises BadInput and UnknownName before anything is done,
    StoreBusy where somebody watches the folder already, and at the end IsoscopeError for checkpoints that could not be
    measured.

    Args:
        folder: The folder that the training writes its checkpoints to.
        dataset: A built-in name, a file, path:column, or hf:name:config:split.
        measures: Names as `isoscope ls measures` prints them; all of them if not given.
        layers: Layers to measure, 0 is the embedding; all if not given.
        tokens: Run at least this many tokens.
        window: Characters in a window of text.
        sample: States kept of each layer.
        as_released: Also measure by the published procedures as their authors run them.
        name: What to call the model in the store; the folder's name if not given.
        losses: The training's log; its trainer_state.json, .jsonl, .csv or TensorBoard folder if not given.
        every: Seconds between two looks.
        until_idle: End when nothing has changed for this many seconds.
        once: Take in what is there, then end.
        device: cuda, cpu or auto.
        dtype: float32, float16, bfloat16, or auto, which is as the weights are stored.
        batch_size: Windows in a batch.
        trust_remote_code: Run code that the model's repository brings.
        store: The store's folder, or its s3:// URL.
        lock_wait: Seconds to wait for a busy store.
    """
    question = ask(dataset, measures or (), layers, tokens, window, sample, as_released)
    training = find_training(folder, name)
    chosen_device(device)
    opened = open_store(store, lock_wait, say)
    measured = training.model, question.items.dataset.name
    watch = Watch(
        Checkpoints(training),
        LossCurve(training, Path(losses).expanduser().resolve() if losses else None, every),
        question,
        opened,
        partial(load, device=device, dtype=dtype, trust_remote_code=trust_remote_code),
        batch_size,
        Pace(every, until_idle, once),
        str(flow_run.id),
    )
    tag_run(*measured)
    with (
        watching(opened, training.folder),
        stoppable_if_asked() as stopping,
        progress_shown(artifact_key("watch", *measured)),
    ):
        return watch.run(stopping)


def watch_here(listener: Callable[[News], None], **parameters: Any) -> bool:
    """`watch_training` in this process, until the first SIGTERM or Ctrl-C; `listener` is told what it sees. Whether the
    Prefect server was told of the end. Raises what the flow does."""
    heard: set[Kind] = set()

    def hear(news: News) -> None:
        heard.add(news.kind)
        listener(news)

    with stoppable(), private_server(), hearing(hear):
        try:
            watch_training(**parameters)
        except Exception as error:
            if "stopped" not in heard or not is_absence(error):
                raise
            hear(News("problem", "the Prefect server does not answer, and was not told of the end"))
            return False
    return True
