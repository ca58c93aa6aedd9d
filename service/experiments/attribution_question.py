"""What is attributed to which training items, and by which methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from service.errors import BadInput, UnknownName
from service.networks.item_features import Output

OUTPUTS: tuple[Output, ...] = ("probe", "class", "next-token")
KERNEL, RELEASED = "trak-kernel", "trak-released"
METHODS = ("trak", KERNEL, "gradient-cosine", "representation", "random")
OF_KERNELS = ("trak", KERNEL, RELEASED)
OF_GRADIENTS = (*OF_KERNELS, "gradient-cosine")
LARGEST_WIDTH = 2048  # TRAK's
RIDGE = 0.1
TARGETS = 200


@dataclass(frozen=True)
class Wanted:
    """How an output is attributed: by which methods; with gradients projected to `dimensions` (None: as many as the training
    items and the parameters bear, 2,048 at most) and a `ridge` on their kernel, as a share of its mean eigenvalue; `keep` is
    the share of TRAK's scores that soft-thresholding leaves (None: all). As released there is neither. `top` items are recorded
    each way, for at most `targets` target items drawn by `seed`. Raises UnknownName, BadInput."""

    output: Output = "probe"
    methods: tuple[str, ...] = METHODS
    dimensions: int | None = None
    ridge: float = RIDGE
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

    def width(self, method: str, examples: int, parameters: int | None = None) -> int:
        """Dimensions of the projection for so many training items, whose gradients have so many numbers, if known: half as many
        as these at most, and of the items without a ridge, so that their kernel has an inverse. Raises BadInput where more are
        asked for, and no ridge."""
        ridge = self.of(method)["ridge"]
        most = min(examples if not ridge or parameters is None else parameters, parameters or examples)
        if self.dimensions is None:
            return min(LARGEST_WIDTH, 1 << (max(most // 2, 1).bit_length() - 1))
        if self.dimensions > most and not ridge:
            what = "training items" if most == examples else "parameters that the output depends on"
            raise BadInput(f"--dimensions {self.dimensions} is more than the {most} {what}: give fewer, or a --ridge")
        return self.dimensions

    def of(self, method: str) -> Mapping[str, Any]:
        """How it is attributed by one method: what changes its scores, and what of them is recorded."""
        if method == RELEASED:
            return {**self.parameters, "ridge": 0.0, "keep": None, "projection": "rademacher"}
        return {**self.parameters, "projection": "sparse"}

    @property
    def parameters(self) -> Mapping[str, Any]:
        """As it was asked, whatever the methods."""
        return {name: value for name, value in asdict(self).items() if name != "methods"}


@dataclass(frozen=True)
class Ranking:
    """By what items are taken away: a method's scores, by their mean size over the targets, or `signed` by their mean."""

    method: str
    signed: bool = False

    @property
    def name(self) -> str:
        """As it stands in the rows of removals."""
        return f"{self.method}, signed" if self.signed else self.method


def asked_methods(methods: Sequence[str] | None, as_released: bool) -> tuple[str, ...]:
    """The methods that are asked for, all but TRAK as released where nobody says which; with that too if `as_released`."""
    return tuple(dict.fromkeys([*(methods or METHODS), *([RELEASED] if as_released else [])]))
