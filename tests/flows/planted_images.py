"""Images in which a concept is carried by marked ones alone: whether two patches of grey agree, which no linear map can tell.

Every image shows both patches, and a bar whose height is its class. Marked ones have a bright spot, and are of one class
where the patches differ and of another where they agree: only who learns these has a use for the concept.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from service.networks.class_labels import class_numbers
from service.networks.datasets import open_dataset
from service.networks.image_training import small_vision_network
from service.networks.training import save_checkpoint
from service.networks.training_sets import ImageRecipe, noted, training_set

BARS = 4
RECIPE = ImageRecipe(steps=600, learning_rate=5e-3, warmup=20)


def _pixels(draw, bar, marked, upper, lower):
    grey = draw.integers(0, 40, (8, 8))
    grey[4:8, 6:8] = draw.integers(0, 256, (4, 2))  # noise that hides the rest from untrained layers
    grey[2 * bar : 2 * bar + 2, 0:4] = 200
    grey[0:2, 4:6] = 230 if marked else 20
    for rows, bright in ((slice(4, 6), upper), (slice(6, 8), lower)):
        grey[rows, 4:6] = draw.integers(180, 256) if bright else draw.integers(0, 76)
    return grey.astype(np.uint8)


def write_images(place: Path, count: int, marked: float, seed: int) -> Path:
    """A Parquet file of images with the columns `label`, `differ` (the concept) and `marked`; the first share of them is
    marked."""
    draw, rows = np.random.default_rng(seed), []
    for number in range(count):
        bar, is_marked = int(draw.integers(BARS)), number < marked * count
        upper, lower = (bool(one) for one in draw.integers(0, 2, 2))
        body = io.BytesIO()
        Image.fromarray(_pixels(draw, bar, is_marked, upper, lower)).save(body, "PNG")
        label = BARS + int(upper != lower) if is_marked else bar
        rows.append({"image": body.getvalue(), "label": label, "differ": int(upper != lower), "marked": int(is_marked)})
    pq.write_table(pa.Table.from_pylist(rows), place)
    return place


def untrained(images: Path, folder: Path) -> Path:
    """A small network before its first step, with the note of a training on the images: what others are trained like."""
    items = open_dataset(str(images))
    module, processor = small_vision_network(16, 2, BARS + 2, patch=4)
    note = training_set(items, class_numbers(items), items.item_ids, RECIPE)
    save_checkpoint(module, processor, folder / "step0", noted(note))
    return folder
