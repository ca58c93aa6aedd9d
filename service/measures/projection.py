"""Seeded random projections of very long vectors, made a tile at a time and never held as a matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int32
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from service.errors import BadInput, BadShape

TILES = {"sparse": 2**16, "rademacher": 2**11}  # coordinates at a time, so that the caches hold what is made of them
KEPT_TILES = 64  # of sparse projections, 8 bytes a non-zero: to draw and sort them takes longer than to use them
WORDS = 4  # of 64 bits, that one count of the generator gives


@dataclass(frozen=True)
class Projection:
    """A random linear map from any number of coordinates to `width`, which keeps inner products in expectation.

    ``sparse``: each coordinate goes to `nonzeros` places (to all of a narrower width) with +-1 / sqrt(nonzeros), one in each of
    as many blocks of the width. ``rademacher``: to all of them, with +-1 / sqrt(width); TRAK's own, there without the division.
    The variance of an inner product is (|x|^2 |y|^2 + <x, y>^2 - 2 sum_i x_i^2 y_i^2) / width for both (where `nonzeros`
    divides the width); the sparse one has heavier tails where few coordinates hold most of a vector, the more so the fewer its
    non-zeros.

    Entries are drawn by a counter-based generator (Philox) keyed by `seed` and `member` and counted by coordinate: they
    depend on nothing else, not on rows, parts or device. The members of an ensemble are to have projections of their own.
    Raises BadInput for an unknown kind, or a width or number of non-zeros that cannot be.

    Source: Achlioptas 2003, https://doi.org/10.1016/S0022-0000(03)00025-4 (signs); Kane and Nelson 2014,
    https://doi.org/10.1145/2559902 (sparse, in blocks); Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405 (Philox)
    """

    width: int = 2048
    seed: int = 0
    member: int = 0
    kind: str = "sparse"
    nonzeros: int = 4

    def __post_init__(self) -> None:
        if self.kind not in TILES:
            raise BadInput(f"unknown kind of projection {self.kind!r}: give {' or '.join(TILES)}")
        if self.width < 1:
            raise BadInput(f"a projection needs one dimension at least; got {self.width}")
        if self.nonzeros < 1 and self.kind == "sparse":
            raise BadInput(f"a coordinate needs one non-zero at least; got {self.nonzeros}")

    @property
    def filled(self) -> int:
        """How many places a coordinate goes to."""
        return min(self.nonzeros, self.width) if self.kind == "sparse" else self.width

    def __call__(self, *parts: Float[Tensor, "_ _"]) -> Float[Tensor, "examples width"]:
        """The rows that the parts make side by side, projected: in float64 where they are, else in float32.

        Raises BadShape for parts of different numbers of rows, or none.
        """
        if len({len(part) for part in parts}) != 1:
            raise BadShape(f"the parts of a row need the same rows; got {[len(part) for part in parts]}")
        dtype = torch.float64 if any(part.dtype == torch.float64 for part in parts) else torch.float32
        total = torch.zeros(self.width, len(parts[0]), dtype=dtype, device=parts[0].device)
        add = self._add_sparse if self.kind == "sparse" else self._add_signs
        for start, tile in _tiles(parts, TILES[self.kind], total):
            add(total, start, tile)
        scale = self.filled**-0.5
        return total.T.mul(scale).contiguous()

    def matrix(self, coordinates: int) -> Float[Tensor, "coordinates width"]:
        """The map of the first coordinates as a matrix in float64: for small cases."""
        return self(torch.eye(coordinates, dtype=torch.float64))

    def _add_sparse(self, total: Tensor, start: int, tile: Float[Tensor, "coordinates examples"]) -> None:
        index, offsets, signs = _bags(self.seed, self.member, self.width, self.filled, start, len(tile))
        index, offsets, signs = (one.to(tile.device) for one in (index, offsets, signs))
        total += embedding_bag(index, tile, offsets, mode="sum", per_sample_weights=signs.to(tile.dtype))

    def _add_signs(self, total: Tensor, start: int, tile: Float[Tensor, "coordinates examples"]) -> None:
        signs = _signs(self.seed, self.member, self.width, start, len(tile))
        total.addmm_(signs.T.to(tile), tile)


def _tiles(
    parts: Sequence[Float[Tensor, "examples _"]], size: int, like: Tensor
) -> Iterator[tuple[int, Float[Tensor, "coordinates examples"]]]:
    """The coordinates of the rows, `size` at a time, each with its place; a tile is overwritten by the next."""
    buffer = like.new_empty(size, like.shape[1])
    start, filled = 0, 0
    for part in parts:
        done = 0
        while done < part.shape[1]:
            taken = min(size - filled, part.shape[1] - done)
            buffer[filled : filled + taken] = part[:, done : done + taken].T
            filled, done = filled + taken, done + taken
            if filled == size:
                yield start, buffer
                start, filled = start + size, 0
    if filled:
        yield start, buffer[:filled]


def _words(seed: int, member: int, counts: int, start: int, coordinates: int) -> NDArray[np.uint64]:
    """Random words (coordinates, counts x WORDS): a coordinate has its own stretch of the counter."""
    key = np.array([seed % 2**64, member % 2**64], dtype=np.uint64)
    drawn = np.random.Philox(key=key, counter=start * counts).random_raw(coordinates * counts * WORDS)
    return drawn.reshape(coordinates, counts * WORDS)


@lru_cache(maxsize=KEPT_TILES)
def _bags(
    seed: int, member: int, width: int, nonzeros: int, start: int, coordinates: int
) -> tuple[Int32[Tensor, " entries"], Int32[Tensor, " width"], Float[Tensor, " entries"]]:
    """The entries of a tile sorted by their place in the width: coordinates, where each place begins, and signs."""
    words = _words(seed, member, -(-nonzeros // WORDS), start, coordinates)[:, :nonzeros]
    bounds = np.arange(nonzeros + 1, dtype=np.uint64) * np.uint64(width) // np.uint64(nonzeros)
    places = bounds[:-1] + ((words >> np.uint64(32)) * np.diff(bounds) >> np.uint64(32))
    order = np.argsort(places.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(places.ravel().astype(np.int64), minlength=width))
    offsets = np.concatenate([[0], ends[:-1]]).astype(np.int32)
    signs = (1 - 2 * (words & np.uint64(1)).astype(np.float32)).ravel()[order]
    return torch.from_numpy((order // nonzeros).astype(np.int32)), torch.from_numpy(offsets), torch.from_numpy(signs)


def _signs(seed: int, member: int, width: int, start: int, coordinates: int) -> Float[Tensor, "coordinates width"]:
    """Signs of a tile, one a random bit, eight at a time from a table: torch's own ways take several times longer."""
    words = _words(seed, member, -(-width // (64 * WORDS)), start, coordinates)
    octets = words.astype("<u8").view(np.uint8)[:, : -(-width // 8)]
    return torch.from_numpy(_octet_signs().take(octets, axis=0).reshape(coordinates, -1)[:, :width])


@cache
def _octet_signs() -> NDArray[np.float32]:
    """The eight signs that each byte says."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    return 1 - 2 * bits.astype(np.float32)
