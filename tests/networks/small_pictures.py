"""Real images for tests: scikit-learn's digits, grey, and pieces of its two photographs, in colour."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from service.networks.datasets import open_dataset
from service.networks.pictures import Pixels


@cache
def grey_pictures(count: int = 40) -> tuple[Pixels, ...]:
    """Digits of 8 x 8 pixels."""
    digits = open_dataset("digits:test")
    return tuple(digits.image(item) for item in digits.item_ids[:count])


@cache
def colour_pictures() -> tuple[Pixels, ...]:
    """12 pieces of photographs, 32 x 32 pixels each."""
    found = []
    for name in ("china.jpg", "flower.jpg"):
        small = np.asarray(Image.fromarray(load_sample_image(name)).resize((96, 64), Image.Resampling.BOX))
        found += [small[top : top + 32, left : left + 32] for top in (0, 32) for left in (0, 32, 64)]
    return tuple(found)
