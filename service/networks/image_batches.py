"""Images of one dataset as batches, with the rows of each position class and of the sampled places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from service.errors import BadInput
from service.networks.coordinated_sample import coordinated_sample
from service.networks.image_datasets import ImageItems
from service.networks.places import Grid, at_places, common_grid, grid_of, patch_grid
from service.networks.streamed_moments import CLASSES
from service.networks.vision import VisionNetwork
from service.networks.vision_layers import UNRUNNABLE, state_shapes
from service.results import SampledTokens


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images on the network's device. Rows count the batch's places, image after image: `members` are those of each of
    `CLASSES`, `sampled` those of the sample, whose places in the sample are `slots`. `own` are the layers' grids by depth."""

    inputs: dict[str, Float[Tensor, "images channels height width"]]
    members: tuple[Int[Tensor, " members"], ...]
    sampled: Int[Tensor, " sampled"]
    slots: NDArray[np.int64]
    tokens: int
    grid: Grid
    own: tuple[Grid, ...]

    def tokens_of(self, depth: int, states: Tensor) -> Float[Tensor, "images places width"]:
        """The states of a layer at the places that are kept. Raises BadInput where images give states of several sizes."""
        if grid_of(states.shape, (self.own[depth].rows, self.own[depth].columns)) != self.own[depth]:
            raise BadInput(f"layer {depth} has other places for some images: resize them to one size")
        return at_places(states, self.own[depth], self.grid)


class ImageBatches:
    """The batches of one pass over a dataset's images, and the places whose states are kept.

    `tokens` counts the places of all images that are read. Raises BadInput where there are fewer than the sample asks.
    """

    usual_batch = 32

    def __init__(self, network: VisionNetwork, items: ImageItems, sample: int) -> None:
        self.network, self.items = network, items
        shapes = _shapes(network, items)
        patches = patch_grid(getattr(network.module, "config", None))
        self.own = tuple(grid_of(shape, patches) for shape in shapes)
        self.grid = common_grid(self.own, network.layer_names, items.choice.pooled)
        self.read = items.read(self.grid.tokens)
        self.tokens = len(self.read) * self.grid.tokens
        self.chosen = self._chosen(self._sample(sample))

    @property
    def windows(self) -> Sequence[int]:
        """The items that are read."""
        return self.read

    @property
    def sample(self) -> SampledTokens:
        """The places whose states are kept."""
        names = ("item_id", "char_end", "token_id", "position", "special")
        return SampledTokens(**{name: torch.from_numpy(self.chosen[name]) for name in names})

    def longest_inputs(self, size: int, device: torch.device) -> dict[str, Tensor]:
        """The inputs of `size` images."""
        return {"pixel_values": self.items.inputs(self.network, self.read[:size]).to(device)}

    def of(self, size: int, device: torch.device) -> Iterator[ImageBatch]:
        """Every image once, `size` at a time."""
        starts = np.searchsorted(self.chosen["window"], np.arange(len(self.read) + 1))
        start, places = 0, self.grid.tokens
        for group, pixels in self.items.batches(self.network, size, self.read):
            end = start + len(group)
            slots = np.arange(starts[start], starts[end])
            rows = self.chosen["window"][slots] * places + self.chosen["place"][slots] - start * places
            yield ImageBatch(
                inputs={"pixel_values": pixels.to(device)},
                members=tuple(rows.to(device) for rows in class_rows(self.grid, len(group))),
                sampled=torch.from_numpy(rows).to(device),
                slots=self.chosen["slot"][slots],
                tokens=len(group) * places,
                grid=self.grid,
                own=self.own,
            )
            start = end

    def _sample(self, sample: int) -> int:
        """How many states are kept: all where nobody asked for more than there are."""
        if self.items.sample is None or self.items.choice.texts:
            return min(sample, self.tokens)
        if self.tokens < sample:
            name, there = self.items.dataset.name, self.tokens
            raise BadInput(
                f"the sample asks for {sample} states, and {name} has {there} here: give --sample {there} or less"
            )
        return sample

    def _chosen(self, sample: int) -> dict[str, NDArray[Any]]:
        """The places of the coordinated sample by column, by item and then by position; `window` and `place` say which of the
        images that are read, and which of its tokens, each one is, in the order of reading, `slot` where that one stands."""
        images, places = len(self.read), self.grid.tokens
        item_id = np.repeat(np.array(self.read, dtype=np.int64), places)
        char_end, position = np.tile(self.grid.centres, images), np.tile(self.grid.positions, images)
        kept = coordinated_sample(item_id, char_end, position, sample)
        by_window = np.argsort(kept, kind="stable")
        columns: dict[str, NDArray[Any]] = {
            "item_id": item_id[kept],
            "char_end": char_end[kept],
            "token_id": np.zeros(len(kept), dtype=np.int64),
            "position": position[kept],
            "special": kept % places < self.grid.leading,
            "window": kept[by_window] // places,
            "place": kept[by_window] % places,
            "slot": by_window,
        }
        return columns


def _shapes(network: VisionNetwork, items: ImageItems) -> tuple[torch.Size, ...]:
    """The shapes of the states of the first image by depth. Raises BadInput where the network cannot read it."""
    first = items.inputs(network, items.item_ids[:1])
    try:
        return state_shapes(network.blocks, network.module, first.to(next(network.module.parameters())))
    except UNRUNNABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{network.checkpoint.label} cannot read the images of {items.dataset.name}, which come to it in the shape "
            f"{tuple(first.shape[1:])} (channels, height, width): {reason}"
        ) from error


def class_rows(grid: Grid, images: int) -> list[Int[Tensor, " members"]]:
    """The rows of each of `CLASSES` in so many images: leading tokens are special, the foremost of them the first."""
    kind = np.full((images, grid.tokens), CLASSES.index("rest"))
    kind[:, : grid.leading] = CLASSES.index("special")
    kind[:, : min(grid.leading, 1)] = CLASSES.index("special-first")
    return [torch.from_numpy(np.flatnonzero(kind == place)) for place in range(len(CLASSES))]
