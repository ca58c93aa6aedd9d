"""Common corruptions of small images, in families and severities: after Hendrycks and Dietterich, by numpy, scipy and Pillow.

Parameters (`PARAMETERS`) are those of CIFAR-10-C. Images of fewer than 16 pixels a side, whose few bold strokes its noises
hardly touch, have those of ImageNet-C for noises, brightness and JPEG (`TINY_PARAMETERS`).

Five are our own, so that in images so small each severity spoils more than the one before: `saturate` only ever raises the
saturation, where CIFAR-10-C lowers it at severities 1 and 2; `elastic` moves places by one smooth random field, ever further,
where CIFAR-10-C's affine part shrinks as its smooth part grows; `motion-blur` has 2.25 at severity 4, where 2.0 is that of
severity 3; `pixelate` of fewer than 16 pixels keeps 7, 6, 4, 3 and 2 of 8; and `zoom-blur` zooms about the centre by parts of a
pixel. Lengths are in pixels up to 32 a side, and grow with the side beyond. Results are rounded, not cut off. Families that
need pictures or a fixed size of their own (fog, frost, snow, spatter, glass blur) are left out.

Source: Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261, and its make_cifar_c.py and make_imagenet_c.py
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from service.errors import BadInput, BadShape
from service.networks.corruption_names import changes
from service.networks.pictures import Pixels

Picture = NDArray[np.float64]  # (height, width, channels) in 0 to 1
Draw = np.random.Generator
Spoil = Callable[[Picture, Any, Draw], Picture]

TINY = 16  # pixels a side, below which an image is given the parameters of its own
USUAL_SIDE = 32  # pixels a side, beyond which lengths grow
SMOOTH = 0.1  # standard deviation by which an elastic field is smoothed, a share of the side
COLOUR_ALONE = ("saturate",)
PARAMETERS: dict[str, tuple[Any, ...]] = {
    "gaussian-noise": (0.04, 0.06, 0.08, 0.09, 0.10),  # standard deviation, of a range of 1
    "shot-noise": (500, 250, 100, 75, 50),  # photons of a white pixel
    "impulse-noise": (0.01, 0.02, 0.03, 0.05, 0.07),  # share of the values that become 0 or 1
    "speckle-noise": (0.06, 0.10, 0.12, 0.16, 0.20),  # standard deviation, of each value itself
    "gaussian-blur": (0.4, 0.6, 0.7, 0.8, 1.0),  # standard deviation, pixels
    "defocus-blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),  # the disk's radius, its edge's blur
    "motion-blur": ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.25), (9, 2.5)),  # longest trace, standard deviation along it
    "zoom-blur": (1.05, 1.10, 1.15, 1.20, 1.25),  # largest zoom, from 1 on in steps of 0.01
    "brightness": (0.05, 0.10, 0.15, 0.20, 0.30),  # added to the value (of hue, saturation, value)
    "contrast": (0.75, 0.50, 0.40, 0.30, 0.15),  # share of each value's distance from its channel's mean that is left
    "saturate": (1.5, 2.0, 2.5, 5.0, 20.0),  # factor of the saturation
    "jpeg": (80, 65, 58, 50, 40),  # quality
    "pixelate": (0.95, 0.90, 0.85, 0.75, 0.65),  # share of the side that is kept
    "elastic": (0.02, 0.03, 0.045, 0.06, 0.08),  # how far places move (root of the mean square), a share of the side
}
TINY_PARAMETERS: dict[str, tuple[Any, ...]] = PARAMETERS | {
    "gaussian-noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "shot-noise": (60, 25, 12, 5, 3),
    "impulse-noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    "speckle-noise": (0.15, 0.20, 0.35, 0.45, 0.60),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "jpeg": (25, 18, 15, 10, 7),
    "pixelate": (0.875, 0.75, 0.5, 0.375, 0.25),
}
FAMILIES: tuple[str, ...] = tuple(PARAMETERS)


def families_for(pixels: Pixels) -> tuple[str, ...]:
    """The families that mean something for an image like this one: for a grey one all but those of colours."""
    return tuple(family for family in FAMILIES if pixels.shape[2] == 3 or family not in COLOUR_ALONE)


def corrupted(pixels: Pixels, family: str, severity: int, seed: int) -> Pixels:
    """An image (height, width, channels) of uint8, spoiled by a family at severity 1 (mildest) to 5; the same image for
    severity 0 and for the family ``none``.

    `seed` decides what is drawn, and one seed draws alike at each severity, so that severities differ by strength alone: give
    each image a seed of its own. Raises UnknownName, BadInput (a severity; a family of colours for a grey image), BadShape.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        given = f"{pixels.dtype} {pixels.shape}"
        raise BadShape(f"an image needs to be uint8 (height, width, 1 or 3 channels); got {given}")
    if not changes(family, severity, FAMILIES):
        return pixels
    possible = families_for(pixels)
    if family not in possible:
        raise BadInput(f"{family} needs colours, and the image is grey: give another of {', '.join(possible)}")
    table = TINY_PARAMETERS if min(pixels.shape[:2]) < TINY else PARAMETERS
    found = SPOILED[family](pixels / 255.0, table[family][severity - 1], np.random.default_rng(seed))
    return _stored(found)


def _stored(picture: Picture) -> Pixels:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _lengthened(picture: Picture) -> float:
    """By how much a length in pixels of CIFAR-10-C grows."""
    return max(1.0, min(picture.shape[:2]) / USUAL_SIDE)


def _gaussian_noise(picture: Picture, spread: float, draw: Draw) -> Picture:
    return picture + spread * draw.standard_normal(picture.shape)


def _shot_noise(picture: Picture, photons: float, draw: Draw) -> Picture:
    return draw.poisson(picture * photons) / photons


def _impulse_noise(picture: Picture, share: float, draw: Draw) -> Picture:
    struck, white = draw.random(picture.shape) < share, draw.random(picture.shape) < 0.5
    return np.where(struck, white.astype(float), picture)


def _speckle_noise(picture: Picture, spread: float, draw: Draw) -> Picture:
    return picture * (1 + spread * draw.standard_normal(picture.shape))


def _gaussian_blur(picture: Picture, spread: float, draw: Draw) -> Picture:
    spread *= _lengthened(picture)
    found: Picture = ndimage.gaussian_filter(picture, (spread, spread, 0), mode="nearest")
    return found


def _defocus_blur(picture: Picture, shape: tuple[float, float], draw: Draw) -> Picture:
    radius, edge = shape[0] * _lengthened(picture), shape[1]
    reach = int(np.ceil(radius)) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (rows**2 + columns**2 <= radius**2).astype(float)
    disk = ndimage.gaussian_filter(disk / disk.sum(), edge, mode="constant", radius=1)
    found: Picture = ndimage.correlate(picture, disk[..., None], mode="mirror")
    return found


def _motion_blur(picture: Picture, shape: tuple[int, float], draw: Draw) -> Picture:
    """Along a line in a direction within 45 degrees of the horizontal, to one side, as ImageMagick does."""
    grown, angle = _lengthened(picture), np.deg2rad(draw.uniform(-45, 45))
    steps = np.arange(2 * int(np.ceil(shape[0] * grown)) + 1)
    weights = np.exp(-(steps**2) / (2 * (shape[1] * grown) ** 2))
    downs, rights = (np.rint(steps * turn).astype(int) for turn in (np.sin(angle), np.cos(angle)))
    reach, (height, width) = len(steps), picture.shape[:2]
    wide = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    found = np.zeros_like(picture)
    for weight, down, right in zip(weights / weights.sum(), reach + downs, reach + rights, strict=True):
        found += weight * wide[down : down + height, right : right + width]
    return found


def _zoom_blur(picture: Picture, largest: float, draw: Draw) -> Picture:
    zooms = np.arange(1, largest + 0.01, 0.01)
    middle = (np.array(picture.shape[:2]) - 1) / 2
    total = picture.copy()
    for zoom in zooms:
        offset = [*(middle - middle / zoom), 0]
        total += ndimage.affine_transform(picture, [1 / zoom, 1 / zoom, 1], offset, order=1, mode="nearest")
    return total / (len(zooms) + 1)


def _brightness(picture: Picture, more: float, draw: Draw) -> Picture:
    value = picture.max(2, keepdims=True)
    raised = np.minimum(value + more, 1)
    return np.where(value > 0, picture * raised / np.where(value > 0, value, 1), raised)


def _contrast(picture: Picture, left: float, draw: Draw) -> Picture:
    mean = picture.mean((0, 1), keepdims=True)
    return (picture - mean) * left + mean


def _saturate(picture: Picture, factor: float, draw: Draw) -> Picture:
    value = picture.max(2, keepdims=True)
    spread = value - picture.min(2, keepdims=True)
    most = np.where(spread > 0, value / np.where(spread > 0, spread, 1), 1)  # the factor at which saturation is 1
    return value - (value - picture) * np.minimum(factor, most)


def _drawn(picture: Picture) -> Image.Image:
    pixels = _stored(picture)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _read(image: Image.Image, like: Picture) -> Picture:
    return np.asarray(image).reshape(like.shape) / 255.0


def _jpeg(picture: Picture, quality: int, draw: Draw) -> Picture:
    sink = io.BytesIO()
    _drawn(picture).save(sink, "JPEG", quality=quality)
    with Image.open(sink) as image:
        return _read(image, picture)


def _pixelate(picture: Picture, kept: float, draw: Draw) -> Picture:
    height, width = picture.shape[:2]
    small = _drawn(picture).resize((max(1, int(width * kept)), max(1, int(height * kept))), Image.Resampling.BOX)
    return _read(small.resize((width, height), Image.Resampling.BOX), picture)


def _elastic(picture: Picture, share: float, draw: Draw) -> Picture:
    side = min(picture.shape[:2])
    places = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(float)
    moves = draw.standard_normal(places.shape)
    moves = ndimage.gaussian_filter(moves, (0, SMOOTH * side, SMOOTH * side), mode="reflect")
    places += share * side * moves / max(np.sqrt((moves**2).sum(0).mean()), 1e-12)
    layers = np.moveaxis(picture, 2, 0)
    return np.stack([ndimage.map_coordinates(layer, places, order=1, mode="mirror") for layer in layers], -1)


SPOILED: dict[str, Spoil] = {
    "gaussian-noise": _gaussian_noise,
    "shot-noise": _shot_noise,
    "impulse-noise": _impulse_noise,
    "speckle-noise": _speckle_noise,
    "gaussian-blur": _gaussian_blur,
    "defocus-blur": _defocus_blur,
    "motion-blur": _motion_blur,
    "zoom-blur": _zoom_blur,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturate": _saturate,
    "jpeg": _jpeg,
    "pixelate": _pixelate,
    "elastic": _elastic,
}
