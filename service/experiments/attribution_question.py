"""What is attributed to which training items, and by which methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from service.errors import BadInput, UnknownName
from service.networks.item_features import Output

OUTPUTS: tuple[Output, ...] = ("probe", "class", "next-token")
METHODS = ("trak", "gradient-cosine", "representation", "random")
RELEASED = "trak-released"
LARGEST_WIDTH = 2048  # TRAK's
TARGETS = 200


@dataclass(frozen=True)
class Wanted:
    """How an output is attributed: by which methods; with gradients projected to `dimensions` (None: as many as the training
    items bear, 2,048 at most) and a `ridge` on their kernel; `keep` is the share of TRAK's scores that soft-thresholding
    leaves (None: all). `top` items are recorded each way, for at most `targets` target items drawn by `seed`. Raises
    UnknownName, BadInput."""

    output: Output = "probe"
    methods: tuple[str, ...] = METHODS
    dimensions: int | None = None
    ridge: float = 0.0
    keep: float | None = None
    top: int = 10
    targets: int = TARGETS
    seed: int = 0

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise UnknownName.of("output", self.output, OUTPUTS)
        for method in self.methods:
            if method not in (*METHODS, RELEASED):
                raise UnknownName.of("method of attribution", method, (*METHODS, RELEASED))
        if self.top < 1 or self.targets < 1:
            raise BadInput(f"--top and --targets are 1 or more; got {self.top} and {self.targets}")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise BadInput(f"--keep is a share above 0 and up to 1; got {self.keep}")

    def width(self, examples: int) -> int:
        """Dimensions of the projection for so many training items: half as many at most, so that their kernel has an
        inverse."""
        if self.dimensions is not None:
            return self.dimensions
        return min(LARGEST_WIDTH, 1 << (max(examples // 2, 1).bit_length() - 1))

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What changes what is recorded of one method."""
        return {name: value for name, value in asdict(self).items() if name != "methods"}
