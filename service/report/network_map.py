"""Many networks on one plane: places whose distances are nearest to those measured between the networks' layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from typing import Any

from service.errors import BadInput
from service.report.network_distances import Distances, Site
from service.report.panels import thinned

MOST_TOGETHER = 8  # networks whose layers are drawn on one plane
MOST_LAYERS = 4  # planes where each layer has its own
MOST_COMMANDS = 3
Window = tuple[float, float]
Complete = Callable[[str, str], bool]  # whether nothing is missing between two networks


@dataclass(frozen=True, eq=False)
class Plane:
    """Sites and their places (x, y); `layer` is the one that all of them have, None where all layers are on the plane. `kept`
    is the share of the squared distances that the plane keeps."""

    sites: tuple[Site, ...]
    places: tuple[tuple[float, float], ...]
    kept: float
    layer: int | None = None

    @property
    def said(self) -> str:
        """What is on it, and how far it can be trusted."""
        what = "all layers" if self.layer is None else f"layer {self.layer}"
        return f"{what}: the plane keeps {self.kept:.0%} of the squared distances"

    def of(self, network: str) -> list[tuple[int, float, float]]:
        """Layers and places of one network, in the order of depth."""
        found = zip(self.sites, self.places, strict=True)
        return sorted((layer, *place) for (own, layer), place in found if own == network)


@dataclass(frozen=True, eq=False)
class NetworkMap:
    """The planes of some networks, which are in the order of `names`: by network its name with the step. `left_out` names the
    networks that have no place."""

    measure: str
    names: dict[str, str]
    planes: tuple[Plane, ...]
    left_out: tuple[str, ...]

    @property
    def windows(self) -> list[tuple[Window, Window]]:
        """What part of each plane is seen, from and to in x and y: squares of one size, so that distances compare."""
        ends = [[(min(way), max(way)) for way in zip(*plane.places, strict=True)] for plane in self.planes]
        half = 0.56 * max(high - low for ways in ends for low, high in ways) or 1.0
        middles = [[(low + high) / 2 for low, high in ways] for ways in ends]
        return [((x - half, x + half), (y - half, y + half)) for x, y in middles]

    @property
    def note(self) -> str:
        """Which networks are left out and why, empty where none is."""
        if not self.left_out:
            return ""
        too = "and itself" if self.planes[0].layer is None else "or of another depth"
        return f"Left out, not compared with all others {too}: {', '.join(self.left_out)}"


def network_map(rows: Sequence[tuple[Any, ...]]) -> NetworkMap:
    """The map of the rows of DISTANCES: all layers on one plane, for which each network must have been compared with itself
    too; where that is not so, and of more than MOST_TOGETHER networks, a plane for each of MOST_LAYERS layers, of the networks
    of the commonest depth. Of incomplete distances, the network that most are missing of is left out until none is.
    Raises BadInput where fewer than two networks remain, naming the comparisons that are missing."""
    distances = Distances.of(rows)
    if len(distances.layers) <= MOST_TOGETHER:
        kept = _complete(list(distances.layers), lambda a, b: _all_layers(distances, a, b))
        if len(kept) > 1:
            sites = [(network, layer) for network in kept for layer in distances.layers[network]]
            return _map(distances, kept, [_plane(distances, sites, None)])
    common = Counter(distances.layers.values()).most_common(1)[0][0]
    shown = [common[place] for place in thinned(len(common), MOST_LAYERS)]
    alike = [network for network, layers in distances.layers.items() if layers == common]
    kept = _complete(alike, lambda a, b: distances.all_there(((a, layer), (b, layer)) for layer in shown))
    if len(kept) < 2:
        raise BadInput(_missing(distances))
    return _map(distances, kept, [_plane(distances, [(one, layer) for one in kept], layer) for layer in shown])


def _all_layers(distances: Distances, a: str, b: str) -> bool:
    first, second = ([(network, layer) for layer in distances.layers[network]] for network in (a, b))
    return distances.all_there(product(first, second))


def _complete(networks: list[str], complete: Complete) -> list[str]:
    """The networks without those, one after another, that most is missing of; of equal ones the last in the alphabet."""
    pairs = [pair for pair in combinations_with_replacement(networks, 2) if not complete(*pair)]
    while pairs:
        worst = max(networks, key=lambda network: (sum(network in pair for pair in pairs), network))
        networks = [network for network in networks if network != worst]
        pairs = [pair for pair in pairs if worst not in pair]
    return networks


def _plane(distances: Distances, sites: list[Site], layer: int | None) -> Plane:
    import torch  # only this figure needs it, and it is slow to load

    from service.measures.classical_scaling import classical_scaling

    found = classical_scaling(torch.tensor(distances.matrix(sites), dtype=torch.float64))
    return Plane(tuple(sites), tuple((x, y) for x, y in found.places.tolist()), found.kept, layer)


def _map(distances: Distances, kept: list[str], planes: list[Plane]) -> NetworkMap:
    left_out = tuple(name for network, name in distances.names.items() if network not in kept)
    names = {network: distances.names[network] for network in kept}
    return NetworkMap(distances.measure, names, tuple(planes), tuple(sorted(left_out)))


def _missing(distances: Distances) -> str:
    networks, together = list(distances.layers), len(distances.layers) <= MOST_TOGETHER
    pairs = [pair for pair in combinations_with_replacement(networks, 2) if not _all_layers(distances, *pair)]
    commands = [
        f"`isoscope compare {a} {b} --measure {distances.measure.split()[0]}`" for a, b in pairs if together or a != b
    ]
    if len(networks) < 2:
        return (
            f"a map needs two networks; there is {networks[0]} alone: run `isoscope compare {networks[0]}` with another"
        )
    if not commands:
        return (
            f"of more than {MOST_TOGETHER} networks a map shows those of one depth, and no two are: name fewer models"
        )
    more = f" and {len(commands) - MOST_COMMANDS} more" if len(commands) > MOST_COMMANDS else ""
    asked = ", ".join(commands[:MOST_COMMANDS]) + more
    return f"the distances for a map of {', '.join(networks)} are not complete: run {asked}"
