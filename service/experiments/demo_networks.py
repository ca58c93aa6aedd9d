"""The demonstration's networks: two decoders of different width and an encoder, trained once, shared by every experiment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from service.errors import BadInput
from service.experiments.small_networks import TOKENIZER_TEXT, VOCABULARY, SmallNetwork, train_networks, training_in
from service.networks.class_labels import class_numbers
from service.networks.datasets import open_dataset
from service.networks.image_datasets import ImageItems
from service.networks.image_training import small_vision_network, train_images
from service.networks.text_sources import python_reference
from service.networks.training import Recipe, small_decoder, train, train_tokenizer
from service.networks.training_probe import text_probe
from service.networks.training_sets import ImageRecipe
from service.results import TrainingStep

EXPLODING = "demo-exploding"
EXPLODING_STEPS = 500

DEMO_NETWORKS = {
    "demo-decoder-64": SmallNetwork("causal", 64, 4),
    "demo-decoder-128": SmallNetwork("causal", 128, 4),
    "demo-encoder-64": SmallNetwork("masked", 64, 4),
}
CLASSIFIER = ImageRecipe(steps=120, learning_rate=1e-2, warmup=10)
LINE = ImageRecipe(steps=80, learning_rate=1e-2, warmup=10, seed=1, save_steps=(20, 40, 80))
SECOND_SEED = {"demo-decoder-64-seed-1": SmallNetwork("causal", 64, 4, seed=1)}


def train_demo_networks(folder: Path) -> list[Path]:
    """The folders of all that read text under `folder`, that of the other seed last; trains those that are not there."""
    return train_networks(folder, DEMO_NETWORKS | SECOND_SEED)


def train_demo_classifier(folder: Path, recipe: ImageRecipe = CLASSIFIER) -> Path:
    """A small vision transformer trained on four fifths of scikit-learn's digits; its checkpoints' folder."""
    items = open_dataset("digits:train")
    if not isinstance(items, ImageItems):
        raise BadInput("digits:train is a dataset of images")
    module, processor = small_vision_network(32, 4, 10, patch=4, seed=recipe.seed)
    with training_in(folder.parent):
        return train_images(
            module, processor, items, class_numbers(items), items.item_ids, folder, recipe, opened="digits:train"
        )


def train_demo_line(folder: Path) -> Path:
    """Another such network at three steps of its training, whose robustness draws a line that edited ones are set against."""
    return train_demo_classifier(folder, LINE)


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
