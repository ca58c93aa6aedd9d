"""Styles that an image can be given: the same look for every image, which an edit may be about. Nothing is drawn by chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.errors import BadInput, BadShape, UnknownName
from service.networks.corruption_names import NONE
from service.networks.pictures import Pixels

Places = NDArray[np.int64]
Style = Callable[[Pixels, Places, Places, int], Pixels]
WHITE = 255
COLOUR_ALONE = ("tint",)
RED = (1.0, 0.45, 0.45)  # what a tint leaves of red, green and blue


def styles_for(pixels: Pixels) -> tuple[str, ...]:
    """The styles that mean something for an image like this one: for a grey one all but those of colours."""
    return tuple(style for style in STYLES if pixels.shape[2] == 3 or style not in COLOUR_ALONE)


def styled(pixels: Pixels, style: str) -> Pixels:
    """An image (height, width, 1 or 3 channels) of uint8 in a style: ``checker`` greys every other square, ``corner`` puts a
    white square into the lower right corner, ``frame`` a white frame around it, ``invert`` makes a negative, ``posterise``
    leaves black and white (of each channel), ``stripes`` draws white lines across, ``tint`` reddens; ``none`` changes nothing.

    Squares and lines are one pixel wide, two from 32 pixels a side on, and so forth. Raises UnknownName, BadInput (a style of
    colours for a grey image), BadShape.
    """
    if style not in STYLES and style != NONE:
        raise UnknownName.of("style", style, (NONE, *STYLES))
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise BadShape(
            f"an image needs to be uint8 (height, width, 1 or 3 channels); got {pixels.dtype} {pixels.shape}"
        )
    if style == NONE:
        return pixels
    possible = styles_for(pixels)
    if style not in possible:
        raise BadInput(f"{style} needs colours, and the image is grey: give another of {', '.join(possible)}")
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    return DRAWN[style](pixels, rows, columns, max(1, min(height, width) // 16))


def _whitened(pixels: Pixels, where: NDArray[np.bool_]) -> Pixels:
    return np.where(where[..., None], np.uint8(WHITE), pixels)


def _checker(pixels: Pixels, rows: Places, columns: Places, unit: int) -> Pixels:
    """Every other square halfway to mid grey."""
    grey = ((pixels.astype(np.uint16) + 128) // 2).astype(np.uint8)
    other = (rows // unit + columns // unit) % 2 == 1
    return np.where(other[..., None], grey, pixels)


def _corner(pixels: Pixels, rows: Places, columns: Places, unit: int) -> Pixels:
    """A square of two units a side, which is what a planted mark usually is."""
    return _whitened(pixels, (rows >= len(rows) - 2 * unit) & (columns >= columns.shape[1] - 2 * unit))


def _frame(pixels: Pixels, rows: Places, columns: Places, unit: int) -> Pixels:
    inner = (rows >= unit) & (rows < len(rows) - unit) & (columns >= unit) & (columns < columns.shape[1] - unit)
    return _whitened(pixels, ~inner)


def _invert(pixels: Pixels, rows: Places, columns: Places, unit: int) -> Pixels:
    return WHITE - pixels


def _posterise(pixels: Pixels, rows: Places, columns: Places, unit: int) -> Pixels:
    return np.where(pixels >= 128, WHITE, 0).astype(np.uint8)


def _stripes(pixels: Pixels, rows: Places, columns: Places, unit: int) -> Pixels:
    """One line in four."""
    return _whitened(pixels, rows // unit % 4 == 1)


def _tint(pixels: Pixels, rows: Places, columns: Places, unit: int) -> Pixels:
    return np.rint(pixels * np.array(RED)).astype(np.uint8)


DRAWN: dict[str, Style] = {
    "checker": _checker,
    "corner": _corner,
    "frame": _frame,
    "invert": _invert,
    "posterise": _posterise,
    "stripes": _stripes,
    "tint": _tint,
}
STYLES: tuple[str, ...] = tuple(DRAWN)
