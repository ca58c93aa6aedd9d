"""From pixels to what a vision network is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from service.errors import BadInput
from service.networks.pictures import Pixels, with_channels

Preprocess = Callable[[Float[Tensor, "channels height width"]], Float[Tensor, "channels height width"]]


class Processor(Protocol):
    """Makes images ready for a network."""

    def __call__(self, images: Sequence[Pixels]) -> Float[Tensor, "images channels height width"]:
        """The images in one float32 tensor on the CPU. Raises BadInput."""
        ...


@dataclass(frozen=True, eq=False)
class HubProcessor:
    """A transformers image processor, as its folder has it, for a network that reads `channels`."""

    wrapped: Any
    channels: int

    def __call__(self, images: Sequence[Pixels]) -> Float[Tensor, "images channels height width"]:
        """The images resized, rescaled and normalised as the processor's own settings say. Raises BadInput."""
        same = [with_channels(pixels, self.channels) for pixels in images]
        try:
            found = self.wrapped(same, input_data_format="channels_last", return_tensors="pt")
        except ValueError as error:
            raise self._refusal(same, error) from error
        ready = found["pixel_values"]
        if not isinstance(ready, Tensor) or ready.ndim != 4:
            raise BadInput(f"{type(self.wrapped).__name__} makes no tensor (images, channels, height, width)")
        return ready.float()

    def save_pretrained(self, folder: Path) -> None:
        """Write the settings, as transformers has them."""
        self.wrapped.save_pretrained(folder)

    def _refusal(self, images: Sequence[Pixels], error: ValueError) -> BadInput:
        if len({pixels.shape for pixels in images}) > 1:
            return mixed_sizes(images)
        return BadInput(f"the network's image processor cannot work: {' '.join(str(error).split())[:200]}")


@dataclass(frozen=True, eq=False)
class UnitProcessor:
    """Images of `channels` as float32 in [0, 1], each through `preprocess` where there is one."""

    preprocess: Preprocess | None = None
    channels: int = 3

    def __call__(self, images: Sequence[Pixels]) -> Float[Tensor, "images channels height width"]:
        """The images in one tensor. Raises BadInput where they are of several sizes."""
        same = [np.array(with_channels(pixels, self.channels)) for pixels in images]
        ready = [torch.from_numpy(pixels).permute(2, 0, 1) / 255 for pixels in same]
        if self.preprocess is not None:
            ready = [self._prepared(image) for image in ready]
        if len({image.shape for image in ready}) > 1:
            raise mixed_sizes(images)
        return torch.stack(ready)

    def _prepared(self, image: Tensor) -> Tensor:
        try:
            found = self.preprocess(image) if self.preprocess else image
        except Exception as error:  # somebody else's code
            reason = " ".join(str(error).split())[:200]
            raise BadInput(f"preprocess fails on an image of shape {tuple(image.shape)}: {reason}") from error
        if not isinstance(found, Tensor) or found.ndim != 3 or not found.is_floating_point():
            raise BadInput("preprocess must give a float tensor (channels, height, width) for each image")
        return found


def mixed_sizes(images: Sequence[Pixels]) -> BadInput:
    """The refusal of images that make no one tensor."""
    sizes = sorted({pixels.shape for pixels in images})
    named = " and ".join("x".join(map(str, shape)) for shape in sizes[:2])
    return BadInput(
        f"the images are of several sizes (height x width x channels: {named}), and nothing makes them one: have the function "
        "return (module, preprocess), or resize them"
    )
