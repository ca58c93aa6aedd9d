"""Encoded images to pixels, and pixels to small pictures that a page can carry."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.errors import BadInput

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
PREVIEW = 96  # pixels of the longer side of a preview, at most
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
Encoded = NDArray[np.uint8] | bytes | Path
Pixels = NDArray[np.uint8]


def decoded(encoded: Encoded, what: str) -> Pixels:
    """The pixels (height, width, channels) of an image: 1 channel where it is grey, else 3; transparency is left out.

    An image is turned upright as its camera noted. `what` names it in the error. Raises BadInput.
    """
    if isinstance(encoded, np.ndarray):
        return encoded if encoded.ndim == 3 else encoded[..., None]
    try:
        with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as opened:
            return _pixels(ImageOps.exif_transpose(opened))
    except UNREADABLE as error:
        reason = " ".join(str(error).split()).partition(": <")[0].partition(" <_io")[0] or type(error).__name__
        raise BadInput(f"{what} is no image that can be read: {reason[:150]}") from error


def _pixels(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16"):
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)[..., None]
    if image.mode in {"I", "F"}:
        raise ValueError(f"its numbers are of mode {image.mode}, and 8 or 16 bits a channel are needed")
    grey = image.mode in {"1", "L", "LA"}
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return np.ascontiguousarray(pixels[..., None] if grey else pixels)


def data_uri(pixels: Pixels) -> str:
    """A small PNG as a ``data:`` URI, its longer side `PREVIEW` pixels or less."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((PREVIEW, PREVIEW))
    sink = io.BytesIO()
    image.save(sink, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(sink.getvalue()).decode()}"


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """The image with 1 or 3 channels: grey is repeated; colours become grey by ITU-R 601-2 luma, as Pillow has it.

    Raises BadInput for any other number of channels that the image does not have.
    """
    if pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] == 1:
        return np.repeat(pixels, channels, axis=2)
    if channels == 1:
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    raise BadInput(f"an image of {pixels.shape[2]} channels was given to a network that reads {channels}")
