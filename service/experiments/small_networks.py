"""Small networks that experiments train for themselves: on one text, two at a time, each once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.errors import BadInput
from service.experiments.progress import tell_waiting
from service.experiments.side_processes import all_done, processes
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
from service.storage.locking import Patience, exclusive

VOCABULARY = 288  # little more than bytes: both phases of the intrinsic dimension then fit into few steps
TOKENIZER_TEXT = 500_000  # characters
TRAINING_TEXT = 4_000_000
LAST_STEP = 512
PROCESSES = 2
LONGEST_TRAINING = 3600.0  # seconds that one waits for another who trains


@dataclass(frozen=True)
class SmallNetwork:
    """The size of a network, what it learns, and for how long. `seed` is that of its first weights and of the order of
    its texts; `activation` is a decoder's."""

    objective: Objective
    width: int
    layers: int
    activation: str = "gelu"
    seed: int = 0
    steps: int = LAST_STEP

    @property
    def name(self) -> str:
        """What says all of it: ``gelu-width-64-depth-4-steps-512-seed-0``."""
        kind = self.activation if self.objective == "causal" else "encoder"
        return f"{kind}-width-{self.width}-depth-{self.layers}-steps-{self.steps}-seed-{self.seed}"

    @property
    def cost(self) -> int:
        """What its training takes, in arbitrary units."""
        return self.steps * self.layers * self.width**2


def train_networks(folder: Path, networks: Mapping[str, SmallNetwork]) -> list[Path]:
    """The networks' folders under `folder`, each with its checkpoints; trains those that are not there, two at a time.

    The text is Python's language reference and the docstrings of the installed numeric libraries. Raises BadInput where the
    folder cannot be written, StoreBusy.
    """
    if not are_trained(folder, networks):
        with training_in(folder):
            _train(folder, _lacking(folder, networks))
    return [folder / name for name in networks]


def _train(folder: Path, lacking: Mapping[str, SmallNetwork]) -> None:
    longest_first = sorted(lacking, key=lambda name: -lacking[name].cost)
    with processes(PROCESSES) as pool:
        all_done(pool, {name: (train_one, folder / name, lacking[name]) for name in longest_first})


@contextmanager
def training_in(folder: Path) -> Iterator[None]:
    """A folder for networks, made where it is not there, in which nobody else trains meanwhile. Raises BadInput, StoreBusy."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / ".training.lock", Patience(LONGEST_TRAINING, tell_waiting), "training networks in"):
            yield
    except OSError as error:
        raise BadInput(
            f"networks cannot be kept in {folder}: {error.strerror or error}; name another folder"
        ) from error


def are_trained(folder: Path, networks: Mapping[str, SmallNetwork]) -> bool:
    """Whether all of the networks are there, to their last step."""
    return not _lacking(folder, networks)


def _lacking(folder: Path, networks: Mapping[str, SmallNetwork]) -> dict[str, SmallNetwork]:
    return {name: one for name, one in networks.items() if not (folder / name / f"step{one.steps}").is_dir()}


def train_one(folder: Path, network: SmallNetwork) -> None:
    """Train one network into its folder, on one thread: two small networks side by side are quicker than one after the other
    on two."""
    texts = training_text()
    tokenizer = train_tokenizer([text[:TOKENIZER_TEXT] for text in texts[:400]], VOCABULARY, network.objective)
    size = network.width, network.layers, len(tokenizer), network.seed
    causal = network.objective == "causal"
    module = small_decoder(*size, activation=network.activation) if causal else small_encoder(*size)
    recipe = Recipe(
        network.steps,
        log_spaced_steps(network.steps),
        network.objective,
        batch=12,
        learning_rate=2e-3,
        final_share=1.0,
        seed=network.seed,
        threads=1,
    )
    train(module, tokenizer, texts, folder, recipe)


@functools.lru_cache(maxsize=1)
def training_text() -> tuple[str, ...]:
    """Python's language reference, and a third of the libraries' docstrings."""
    texts, characters = list(python_reference().texts), 0
    for text in library_docstrings().texts[::3]:
        texts.append(text)
        characters += len(text)
        if characters > TRAINING_TEXT:
            break
    return tuple(texts)
