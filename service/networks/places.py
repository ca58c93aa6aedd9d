"""Where in an image the states of a layer stand: leading tokens (a class token), and a grid of patches or of pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from service.errors import BadInput

MOST_LEADING = 5  # a class token and four registers
SIDE = 4096  # units of an image's side that a place is told in


@dataclass(frozen=True)
class Grid:
    """The places of a layer's states: `leading` tokens that lie nowhere, then `rows` x `columns` places, row by row."""

    leading: int
    rows: int
    columns: int

    @property
    def places(self) -> int:
        """How many places lie in the image."""
        return self.rows * self.columns

    @property
    def tokens(self) -> int:
        """How many states an image has."""
        return self.leading + self.places

    @property
    def centres(self) -> NDArray[np.int64]:
        """A number for where each token lies: 0 for a leading one, else that of its centre. Grids of other sizes give the same
        number only where two centres are the same, to a 4096th of the image's side."""
        rows = (2 * np.arange(self.rows, dtype=np.int64) + 1) * SIDE // (2 * self.rows)
        columns = (2 * np.arange(self.columns, dtype=np.int64) + 1) * SIDE // (2 * self.columns)
        inside = 1 + rows[:, None] * SIDE + columns[None, :]
        return np.concatenate([np.zeros(self.leading, dtype=np.int64), inside.reshape(-1)])

    @property
    def positions(self) -> NDArray[np.int64]:
        """The index of each token, 0 being kept for a leading one."""
        return np.arange(self.tokens) + (self.leading == 0)


def grid_of(shape: Sequence[int], patches: tuple[int, int] | None = None) -> Grid:
    """The grid of states of that shape: (images, channels, height, width), (images, tokens, width) or (images, width).

    Tokens are `patches` (rows, columns) after the leading ones where that fits them, else a square after `MOST_LEADING` or
    fewer, else a row.
    """
    if len(shape) == 4:
        return Grid(0, shape[2], shape[3])
    if len(shape) == 2:
        return Grid(0, 1, 1)
    tokens = shape[1]
    if patches and 0 <= tokens - math.prod(patches) <= MOST_LEADING:
        return Grid(tokens - math.prod(patches), *patches)
    for leading in range(min(MOST_LEADING, tokens - 1) + 1):
        side = math.isqrt(tokens - leading)
        if side * side == tokens - leading:
            return Grid(leading, side, side)
    return Grid(0, 1, tokens)


def patch_grid(config: Any) -> tuple[int, int] | None:
    """Rows and columns of the patches that a transformer cuts an image into, where its configuration says so."""
    config = getattr(config, "vision_config", config)
    image, patch = (getattr(config, name, None) for name in ("image_size", "patch_size"))
    sides = [(one, one) if isinstance(one, int) else tuple(one or ()) for one in (image, patch)]
    if any(len(side) != 2 for side in sides):
        return None
    return sides[0][0] // sides[1][0], sides[0][1] // sides[1][1]


def common_grid(grids: Sequence[Grid], names: Sequence[str], pooled: bool) -> Grid:
    """The places that the states of all layers are kept at: those of the coarsest layer; the whole image where `pooled`.

    Leading tokens are kept where all layers have the same places. Raises BadInput where a layer has one state an image and
    others several.
    """
    if pooled:
        return Grid(0, 1, 1)
    rows, columns = min(grid.rows for grid in grids), min(grid.columns for grid in grids)
    if rows * columns == 1 < max(grid.places for grid in grids):
        single = next(
            name for grid, name in zip(grids, names, strict=True) if grid.rows == rows and grid.columns == columns
        )
        raise BadInput(
            f"layer {single} has one state an image, and other layers several: add :pooled to the dataset's name, or leave "
            "that layer out"
        )
    leading = {grid.leading for grid in grids}
    same = len(leading) == 1 and all((grid.rows, grid.columns) == (rows, columns) for grid in grids)
    return Grid(leading.pop() if same else 0, rows, columns)


def at_places(states: Tensor, own: Grid, kept: Grid) -> Float[Tensor, "images places width"]:
    """The states of a layer at the places of `kept`: where it is coarser than the layer's `own` grid, means over the places
    that fall together. Leading tokens stay where `kept` has them, and enter no mean."""
    if states.ndim == 2:
        return states[:, None]
    if states.ndim == 4:
        states = states.flatten(2).transpose(1, 2)
    if own == kept:
        return states
    inside = states[:, own.leading :]
    if kept.places == 1:
        return inside.mean(1, keepdim=True)
    if (own.rows, own.columns) != (kept.rows, kept.columns):
        spread = inside.transpose(1, 2).unflatten(2, (own.rows, own.columns))
        inside = adaptive_avg_pool2d(spread, (kept.rows, kept.columns)).flatten(2).transpose(1, 2)
    return torch.cat([states[:, : kept.leading], inside], dim=1) if kept.leading else inside
