"""Which layers an edit moved: the shape of the states before and after it, and how unlike both are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from service.edit_results import LayerChange
from service.measures import Cloud, find, find_pair
from service.networks.examples import Inputs
from service.networks.layer_states import layer_states
from service.networks.loading import Network
from service.networks.vision import VisionNetwork
from service.results import Estimate

SHAPE = ("anisotropy", "participation_ratio", "twonn", "norm_mean")
DISSIMILARITY = ("linear_cka_debiased", "procrustes_angular")


@dataclass(frozen=True, eq=False)
class Drift:
    """The layers of a network on some inputs: `before` are the clouds of the untouched one by depth, with their shapes
    remembered. They are noted before an edit, and asked for in vain (KeyError) where they were not."""

    network: Network
    inputs: Inputs
    before: dict[int, Cloud] = field(default_factory=dict, repr=False)

    def note(self) -> None:
        """Take the states of the untouched network; once."""
        if not self.before:
            states = layer_states(self.network, self.inputs)
            self.before.update({depth: Cloud(found) for depth, found in states.items()})

    def changes(self) -> list[LayerChange]:
        """How far each layer is from where it was, now that the network is edited."""
        found = list[LayerChange]()
        names = self.network.layer_names if isinstance(self.network, VisionNetwork) else None
        streams = {depth: stream for depth, stream, _ in self.network.sites}
        for depth, states in layer_states(self.network, self.inputs).items():
            name = None if names is None else names[depth]
            where = depth, name, streams.get(depth, "residual")
            found += [
                LayerChange(*where, measure, was.value if was else None, now.value, now.std_error, now.n_used, now.note)
                for measure, was, now in _measured(self.before[depth], Cloud(states))
            ]
        return found


def _measured(before: Cloud, after: Cloud) -> Iterator[tuple[str, Estimate | None, Estimate]]:
    for name in SHAPE:
        yield name, _shape(name, before), _shape(name, after)
    for name in DISSIMILARITY:
        yield name, None, find_pair(name).of(before, after)


def _shape(name: str, cloud: Cloud) -> Estimate:
    """The plain value of a measure; remembered of a cloud that is asked again."""
    key = ("shape", name)
    if key not in cloud.cache:
        cloud.cache[key] = find(name).corrected(cloud).get("") or Estimate.undefined("the measure has no plain value")
    return cast(Estimate, cloud.cache[key])
