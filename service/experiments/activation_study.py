"""Are the features of one activation function of more use than another's? Networks that differ in nothing else, stitched both
ways round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from service.errors import BadInput
from service.experiments.compare_networks import PairOfNetworks
from service.experiments.small_networks import SmallNetwork
from service.experiments.stitch_networks import Seam, Wanted
from service.networks.checkpoints import CheckpointSource

ACTIVATIONS = ("gelu", "solu")


@dataclass(frozen=True)
class ActivationStudy:
    """Networks of each activation function with each seed, and the layers at which all of them are stitched to all others.

    Raises BadInput.
    """

    seeds: int = 5
    width: int = 64
    depth: int = 4
    steps: int = 1024
    layers: tuple[int, ...] = (1, 2, 3)
    map_steps: int = 600

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise BadInput(
                f"--seeds is 2 or more, so that networks of one activation can be stitched; got {self.seeds}"
            )
        if not self.layers:
            raise BadInput("--layers needs one layer or more")

    @property
    def wanted(self) -> Wanted:
        """The map of each stitching."""
        return Wanted(("affine",), self.map_steps)

    @property
    def networks(self) -> dict[str, SmallNetwork]:
        """What it trains for itself, by name; the activation functions take turns, so that each has its first seeds first."""
        small = SmallNetwork("causal", self.width, self.depth, steps=self.steps)
        made = [
            replace(small, activation=activation, seed=seed) for seed in range(self.seeds) for activation in ACTIVATIONS
        ]
        return {network.name: network for network in made}

    def seams(self, sources: Sequence[CheckpointSource]) -> list[Seam]:
        """All networks with all, both ways round and with themselves, at each layer."""
        pairs = [PairOfNetworks(first, second) for first, second in product(sources, repeat=2)]
        return [Seam(pair, (layer, layer)) for layer in self.layers for pair in pairs]


QUICK = ActivationStudy(seeds=2, steps=256, layers=(2,), map_steps=120)


def asked_activations(
    quick: bool = False,
    seeds: int | None = None,
    layers: Sequence[int] | None = None,
    steps: int | None = None,
) -> ActivationStudy:
    """The study as a command line or a deployment asks for it; what is not given is that of the quick or the whole one.

    Raises BadInput.
    """
    study = QUICK if quick else ActivationStudy()
    return replace(
        study,
        seeds=seeds if seeds is not None else study.seeds,
        layers=tuple(layers) if layers is not None else study.layers,
        map_steps=steps or study.map_steps,
    )
