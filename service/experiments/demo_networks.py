"""The demonstration's networks: two decoders of different width and an encoder, trained once, shared by every experiment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from service.experiments.progress import Progress, tell
from service.networks.text_sources import library_docstrings, python_reference
from service.networks.training import (
    Objective,
    Recipe,
    log_spaced_steps,
    small_decoder,
    small_encoder,
    train,
    train_tokenizer,
)
from service.networks.training_probe import text_probe
from service.results import TrainingStep

VOCABULARY = 288  # little more than bytes: both phases of the intrinsic dimension then fit into few steps
TOKENIZER_TEXT = 500_000  # characters
TRAINING_TEXT = 4_000_000
LAST_STEP = 512
PROCESSES = 2
EXPLODING = "demo-exploding"
EXPLODING_STEPS = 500


@dataclass(frozen=True)
class DemoNetwork:
    """The size of a network, and what it learns."""

    objective: Objective
    width: int
    layers: int


DEMO_NETWORKS = {
    "demo-decoder-64": DemoNetwork("causal", 64, 4),
    "demo-decoder-128": DemoNetwork("causal", 128, 6),
    "demo-encoder-128": DemoNetwork("masked", 128, 6),
}


def train_demo_networks(folder: Path) -> list[Path]:
    """The networks' folders under `folder`, each with its checkpoints; trains those that are not there, two at a time.

    The text is Python's language reference and the docstrings of the installed numeric libraries.
    """
    lacking = [name for name in DEMO_NETWORKS if not (folder / name / f"step{LAST_STEP}").is_dir()]
    largest_first = sorted(lacking, key=lambda name: -DEMO_NETWORKS[name].width)
    if lacking:
        with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
            running = {pool.submit(train_one, folder / name, name): name for name in largest_first}
            for done, finished in enumerate(as_completed(running)):
                finished.result()
                tell(Progress("train", running[finished], done + 1, len(lacking), "networks"))
    return [folder / name for name in DEMO_NETWORKS]


def train_one(folder: Path, name: str) -> None:
    """Train one of the networks into its folder, on one thread: two small networks side by side are quicker than one after
    the other on two."""
    network, texts = DEMO_NETWORKS[name], _training_text()
    tokenizer = train_tokenizer([text[:TOKENIZER_TEXT] for text in texts[:400]], VOCABULARY, network.objective)
    build = small_decoder if network.objective == "causal" else small_encoder
    module = build(network.width, network.layers, len(tokenizer))
    steps = log_spaced_steps(LAST_STEP)
    recipe = Recipe(LAST_STEP, steps, network.objective, batch=12, learning_rate=2e-3, final_share=1.0, threads=1)
    train(module, tokenizer, texts, folder, recipe)


def train_exploding(folder: Path, store: Path | str, monitor_of: Callable[..., AbstractContextManager[Any]]) -> None:
    """Train a small decoder whose learning rate grows until its loss explodes, with the monitor that `monitor_of` makes at
    its side. Does nothing where it was trained already."""
    texts = python_reference().texts
    tokenizer = train_tokenizer([text[:TOKENIZER_TEXT] for text in texts], VOCABULARY, "causal")
    module = small_decoder(48, 3, len(tokenizer))
    saved = tuple(range(0, EXPLODING_STEPS + 1, 100))
    recipe = Recipe(
        EXPLODING_STEPS,
        saved,
        batch=8,
        length=64,
        learning_rate=2e-3,
        final_share=1.0,
        threads=1,
        clip=None,
        rate_growth=1.012,
    )
    if all((folder / f"step{step}").is_dir() for step in saved):
        return
    with monitor_of(module, text_probe(tokenizer, texts, length=64), EXPLODING, store=store, every=5) as monitor:

        def told(made: TrainingStep) -> None:
            monitor.log(made)
            if made.step % monitor.every == 0:
                monitor.measure(made.step)

        train(module, tokenizer, texts, folder, recipe, told)


def _training_text() -> list[str]:
    texts, characters = list(python_reference().texts), 0
    for text in library_docstrings().texts[::3]:
        texts.append(text)
        characters += len(text)
        if characters > TRAINING_TEXT:
            break
    return texts
