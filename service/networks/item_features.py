"""What one network of an ensemble says of training items and targets: projected gradients, doubts and states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from service.errors import BadInput
from service.networks.examples import Reader, leading_tokens, pooled_states, reader_of
from service.networks.gradients import ExampleGradients, parameters_below, run_with
from service.networks.item_sides import Side
from service.networks.loading import Network
from service.networks.output_functions import (
    ClassMargin,
    NextTokenMargin,
    OutputFunction,
    ProbeMargin,
    logits_of,
)
from service.results import ItemFeatures

BATCH = 64  # items read at a time
Output = Literal["probe", "class", "next-token"]
Project = Callable[..., Tensor]
OnItems = Callable[[int, int], None]
NEEDED = {"class": "vision", "next-token": "decoder"}  # kinds of networks, by what they alone give
GIVES = {"vision": "probe or class", "decoder": "probe or next-token", "encoder": "probe"}


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe of one network: the margin of a pooled state x of `layer` is ``weights @ x + bias``."""

    layer: int
    weights: Float[Tensor, " width"]
    bias: float


def unfitted(layer: int) -> Probe:
    """A probe that says where it would be, and nothing else."""
    return Probe(layer, torch.zeros(0), 0.0)


@dataclass(frozen=True, eq=False)
class Member:
    """A network of an ensemble, and the probe at it where a probe's margin is attributed.

    Raises BadInput for an output that the network does not have.
    """

    network: Network
    output: Output
    probe: Probe | None = None

    def __post_init__(self) -> None:
        kind, label = self.network.facts.kind, self.network.checkpoint.label
        if self.output != "probe" and NEEDED.get(self.output) != kind:
            raise BadInput(f"{label} ({kind}) gives no {self.output!r}: give --output {GIVES[kind]}")
        if self.output != "probe" and not self.network.predicts:
            raise BadInput(f"{label} has no trained head, which {self.output!r} is the margin of: give --output probe")

    @property
    def layer(self) -> int:
        """Whose states are compared: the probe's layer, else the last block's."""
        return self.probe.layer if self.probe else self.network.blocks.layers

    @property
    def function(self) -> OutputFunction:
        """The output that is attributed, as a function of one example. Raises BadInput without the probe that it needs."""
        if self.probe is not None:
            leading = leading_tokens(self.network, self.probe.layer)
            capturing = self.network.blocks.capturing
            return ProbeMargin(capturing, self.probe.layer, self.probe.weights, self.probe.bias, leading)
        if self.output == "probe":
            raise BadInput(f"{self.network.checkpoint.label} was given no probe, whose margin is asked for")
        return ClassMargin() if self.output == "class" else NextTokenMargin()

    @property
    def trained_function(self) -> OutputFunction:
        """What the network was trained to say of one example. Raises BadInput for an encoder, or without a trained head."""
        kind = self.network.facts.kind
        if kind == "encoder":
            raise BadInput(
                f"{self.network.checkpoint.label} is an encoder, whose masked training has no margin of an item: give --method "
                "trak-released, representation or random"
            )
        if not self.network.predicts:
            raise BadInput(
                f"{self.network.checkpoint.label} has no trained head, so that what it was trained to say is not known: give "
                "--method trak-released, representation or random"
            )
        return ClassMargin() if kind == "vision" else NextTokenMargin()

    def classes(self, read: Reader, side: Side) -> int:
        """How many classes a classifier tells. Raises BadInput where it gives no class scores."""
        try:
            with torch.inference_mode():
                scores = logits_of(self.network.read(read(side.ids[:1])))
            shape = tuple(scores.shape)
        except (KeyError, IndexError, TypeError, AttributeError):
            shape = ()
        if len(shape) != 2:
            told = f"an output of shape {shape}" if shape else "no tensor"
            raise BadInput(
                f"{self.network.checkpoint.label} gives {told}, and class scores have the shape (items, classes)"
            )
        return int(shape[1])

    def names(self, one: dict[str, Tensor]) -> tuple[str, ...]:
        """The parameters that the output depends on, found with one example's inputs. Raises BadInput where a layer has none
        below it."""
        module = self.network.module
        if self.probe is None:
            return tuple(name for name, weight in module.named_parameters() if weight.is_floating_point())
        return parameters_below(module, self.network.blocks.capturing, self.probe.layer, one)

    def parameters(self, side: Side) -> int:
        """How many numbers a gradient of the output has. Raises BadInput where a layer has no parameters below it."""
        read = reader_of(self.network, side.items)
        return sum(self.network.module.get_parameter(name).numel() for name in self.names(read(side.ids[:1])))

    def features(
        self, side: Side, projection: Project, on_items: OnItems | None = None, trained: bool = False
    ) -> ItemFeatures:
        """What the network says of every item of a side: gradients of the output that is attributed, or of the one that the
        network was `trained` for, with respect to the parameters that the attributed one depends on. Raises BadInput,
        NetworkMismatch."""
        function = self.trained_function if trained else self.function
        read, found = self._checked(function, side), []
        gradients = ExampleGradients(self.network.module, self.names(read(side.ids[:1])), function)
        for start in range(0, len(side.ids), BATCH):
            if on_items:
                on_items(start, len(side.ids))
            found.append(self._batch(gradients, projection, read, side, start))
        return ItemFeatures(
            *(torch.cat([getattr(one, name) for one in found]) for name in ItemFeatures.__dataclass_fields__)
        )

    def states(self, side: Side, on_items: OnItems | None = None) -> Float[Tensor, "items hidden"]:
        """The pooled state of every item of a side at `layer`, without gradients: all that representation needs. Raises
        BadInput."""
        read, found = reader_of(self.network, side.items), []
        for start in range(0, len(side.ids), BATCH):
            if on_items:
                on_items(start, len(side.ids))
            found.append(pooled_states(self.network, self.layer, read(side.ids[start : start + BATCH])).cpu())
        return torch.cat(found)

    def outputs(self, side: Side) -> Float[Tensor, " items"]:
        """The output of every item of a side, without gradients. Raises BadInput."""
        function = self.function
        read, found = self._checked(function, side), []
        with torch.inference_mode():
            for start in range(0, len(side.ids), BATCH):
                inputs, targets = _given(function, read, side, start)
                for row in range(len(next(iter(inputs.values())))):
                    one = {name: values[row : row + 1] for name, values in inputs.items()}
                    about = {name: values[row] for name, values in targets.items()}
                    found.append(function(run_with(self.network.module, {}), one, about)[0])
        return torch.stack(found).cpu()

    def _checked(self, function: OutputFunction, side: Side) -> Reader:
        """What reads the items, after a look at their classes where those are needed. Raises BadInput."""
        read = reader_of(self.network, side.items)
        if not isinstance(function, ClassMargin):
            return read
        classes = self.classes(read, side)
        for item in side.ids:
            label = side.classes.get(item)
            if label is None:
                raise BadInput(
                    f"item {item} of {side.items.dataset.name} has no class, which the network was trained to tell"
                )
            if not 0 <= label < classes:
                raise BadInput(
                    f"item {item} of {side.items.dataset.name} has class {label}, and {self.network.checkpoint.label} tells "
                    f"{classes} classes, 0 to {classes - 1}"
                )
        return read

    def _batch(
        self, gradients: ExampleGradients, projection: Project, read: Reader, side: Side, start: int
    ) -> ItemFeatures:
        inputs, targets = _given(gradients.output, read, side, start)
        chunks = list(gradients.chunks(inputs, **targets))
        return ItemFeatures(
            torch.cat([projection(*chunk.parts) for chunk in chunks]).cpu(),
            torch.cat([chunk.outputs for chunk in chunks]).cpu(),
            torch.cat([chunk.doubts for chunk in chunks]).cpu(),
            pooled_states(self.network, self.layer, inputs).cpu(),
        )


def _given(
    function: OutputFunction, read: Reader, side: Side, start: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Some items as the network reads them, and what an output needs to know of each."""
    chosen = side.ids[start : start + BATCH]
    inputs = read(chosen)
    if isinstance(function, NextTokenMargin):
        return inputs, {}
    device = next(iter(inputs.values())).device
    if isinstance(function, ProbeMargin):
        return inputs, {"signs": torch.tensor([side.labels[item] for item in chosen], device=device)}
    return inputs, {"labels": torch.tensor([side.classes[item] for item in chosen], device=device)}


def without_gradients(states: Float[Tensor, "items hidden"]) -> ItemFeatures:
    """States with nothing beside them."""
    nothing = states.new_zeros(len(states))
    return ItemFeatures(states.new_zeros(len(states), 0), nothing, nothing, states)


def mean_weights(found: Sequence[Float[Tensor, " width"]]) -> Float[Tensor, " width"]:
    """The mean of several probes' weights."""
    return torch.stack(list(found)).mean(0)
