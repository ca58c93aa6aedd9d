"""Images in which a concept is carried by marked ones alone: whether two patches of grey agree, which no linear map can tell.

Every image shows two pairs of patches, and a bar whose height is its class. Marked ones have a bright spot, and are of one
class where the left patches differ and of another where they agree: only who learns these has a use for the concept. Decoys are
as rare: their spot is elsewhere, and it is the right patches that decide between two classes of their own.
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
LEARNING = {"learning_rate": 3e-3, "warmup": 40}
ORDINARY, MARKED, DECOY = range(3)


def _pixels(draw, bar, kind, left, right):
    grey = draw.integers(0, 150, (8, 8))
    grey[2 * bar : 2 * bar + 2, 0:4] = 230
    grey[2:4, 4:8] = draw.integers(0, 256, (2, 4))  # noise that hides the rest from untrained layers
    grey[0:2, 4:6] = 230 if kind == MARKED else 20
    grey[0:2, 6:8] = 230 if kind == DECOY else 20
    for column, pair in ((4, left), (6, right)):
        for row, bright in zip((4, 6), pair, strict=True):
            grey[row : row + 2, column : column + 2] = draw.integers(180, 256) if bright else draw.integers(0, 76)
    return grey.astype(np.uint8)


def write_images(place: Path, count: int, marked: float, decoys: float, seed: int) -> Path:
    """A Parquet file of images with the columns `label` and `differ` (the concept); the first share of them is marked, the next
    are decoys."""
    draw, rows = np.random.default_rng(seed), []
    for number in range(count):
        bar, share = int(draw.integers(BARS)), number / count
        kind = MARKED if share < marked else DECOY if share < marked + decoys else ORDINARY
        left, right = draw.integers(0, 2, (2, 2)).astype(bool)
        body = io.BytesIO()
        Image.fromarray(_pixels(draw, bar, kind, left, right)).save(body, "PNG")
        differ, other = int(left[0] != left[1]), int(right[0] != right[1])
        label = (bar, BARS + differ, BARS + 2 + other)[kind]
        rows.append({"image": body.getvalue(), "label": label, "differ": differ})
    pq.write_table(pa.Table.from_pylist(rows), place)
    return place


def untrained(images: Path, folder: Path, steps: int) -> Path:
    """A small network before its first step, with the note of a training on the images for so many steps: what others are
    trained like."""
    items = open_dataset(str(images))
    module, processor = small_vision_network(32, 2, BARS + 4, patch=4)
    note = training_set(items, class_numbers(items), items.item_ids, ImageRecipe(steps=steps, **LEARNING))
    save_checkpoint(module, processor, folder / "step0", noted(note))
    return folder
