"""The gradient of an output by example: many examples at once, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from service.errors import BadInput
from service.networks.output_functions import Capturing, OutputFunction, Run, Values, states_at

LARGEST_CHUNK = 64
CHUNK_BYTES = 2**28  # of gradients, in float32; while they are computed, about twice that is held


@dataclass(frozen=True, eq=False)
class GradientChunk:
    """What some examples gave: their outputs f, their doubts 1 - p, and their gradients, parameter by parameter in the order
    of `ExampleGradients.names`; side by side these are the rows (examples, parameters)."""

    outputs: Float[Tensor, " examples"]
    doubts: Float[Tensor, " examples"]
    parts: tuple[Float[Tensor, "examples _"], ...]

    @property
    def rows(self) -> Float[Tensor, "examples parameters"]:
        """The gradients as one matrix."""
        return torch.cat(self.parts, dim=1)


@dataclass(frozen=True, eq=False)
class ExampleGradients:
    """The gradients of `output` with respect to the named parameters, one a example, with the network in evaluation mode.

    Attention runs as transformers' ``eager`` meanwhile: fused kernels (sdpa, flash) cannot be vectorised over examples. A
    network that decides something by the values of its input (an encoder with a padding mask) cannot be either, and goes
    one example at a time, several times slower. `chunk` examples are done at a time; if None, as many as 256 MiB of
    gradients, 64 at most. Raises BadInput for a name that the network does not have, or no names at all.
    """

    module: nn.Module
    names: tuple[str, ...]
    output: OutputFunction
    chunk: int | None = None

    def __post_init__(self) -> None:
        known = dict(self.module.named_parameters())
        unknown = [name for name in self.names if name not in known]
        if unknown or not self.names:
            raise BadInput(
                f"{unknown[0]!r} is no parameter of the network" if unknown else "there are no parameters named"
            )

    @property
    def parameters(self) -> int:
        """How many numbers a gradient has."""
        return sum(self.module.get_parameter(name).numel() for name in self.names)

    def of(self, inputs: Values, **targets: Tensor) -> GradientChunk:
        """Those of all examples at once; `inputs` by name and `targets` have the examples in their first dimension."""
        chunks = list(self.chunks(inputs, **targets))
        return GradientChunk(
            torch.cat([chunk.outputs for chunk in chunks]),
            torch.cat([chunk.doubts for chunk in chunks]),
            tuple(torch.cat(parts) for parts in zip(*(chunk.parts for chunk in chunks), strict=True)),
        )

    def chunks(self, inputs: Values, **targets: Tensor) -> Iterator[GradientChunk]:
        """The same, some examples at a time, in their order. Raises BadInput where there are no examples."""
        examples = {len(values) for values in (*inputs.values(), *targets.values())}
        if len(examples) != 1 or 0 in examples:
            raise BadInput(f"inputs and targets need the same examples, one at least; got {sorted(examples)}")
        size = self.chunk or max(1, min(LARGEST_CHUNK, CHUNK_BYTES // (4 * self.parameters)))
        vectorised = True
        for start in range(0, examples.pop(), size):
            some = [{name: values[start : start + size] for name, values in side.items()} for side in (inputs, targets)]
            with per_example(self.module), torch.no_grad():
                found, vectorised = self._chunk(_without_full_mask(some[0]), some[1], vectorised)
            yield found

    def _chunk(self, inputs: Values, targets: Values, vectorised: bool) -> tuple[GradientChunk, bool]:
        weights = {name: self.module.get_parameter(name).detach() for name in self.names}
        slopes = grad_and_value(self._of_one, has_aux=True)
        if vectorised:
            try:
                return _gathered(*vmap(slopes, (None, 0, 0))(weights, inputs, targets)), True
            except RuntimeError as error:
                if "vmap" not in str(error):
                    raise
        each = [slopes(weights, *(_example(side, row) for side in (inputs, targets))) for row in range(_size(inputs))]
        gradients = {name: torch.stack([one[0][name] for one in each]) for name in self.names}
        outputs, doubts = (torch.stack(values) for values in zip(*(one[1] for one in each), strict=True))
        return _gathered(gradients, (outputs, doubts)), False

    def _of_one(self, weights: Values, inputs: Values, targets: Values) -> tuple[Tensor, Tensor]:
        return self.output(
            run_with(self.module, weights), {name: values[None] for name, values in inputs.items()}, targets
        )


def parameters_below(module: nn.Module, capturing: Capturing, layer: int, inputs: Values) -> tuple[str, ...]:
    """The names of the parameters that the states of a layer depend on, by one backward pass.

    Raises BadInput where there are none, NetworkMismatch where the layer is not called.
    """
    weights = {
        name: weight.detach().requires_grad_()
        for name, weight in module.named_parameters()
        if weight.is_floating_point()
    }
    with torch.enable_grad():
        states = states_at(capturing, layer, run_with(module, weights), inputs)
        if not states.requires_grad:
            raise BadInput(f"layer {layer} has no parameters below it: nothing that could be trained made its states")
        found = torch.autograd.grad(states.sum(), list(weights.values()), allow_unused=True)
    return tuple(name for name, gradient in zip(weights, found, strict=True) if gradient is not None)


def run_with(module: nn.Module, weights: Values) -> Run:
    """The network with other weights, called with inputs by name. Pixels alone go in by place, as `VisionNetwork.read` gives
    them: somebody's own module calls them as it likes."""

    def run(**inputs: Any) -> Any:
        if inputs.keys() == {"pixel_values"}:
            return functional_call(module, weights, (inputs["pixel_values"],))
        return functional_call(module, weights, (), inputs)

    return run


@contextmanager
def per_example(module: nn.Module) -> Iterator[None]:
    """Within the block the network is in evaluation mode, its attention is eager, and it keeps no keys and values; all is
    as before afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    configs = {id(part.config): part.config for part in module.modules() if hasattr(part, "config")}
    before = [
        (config, name, getattr(config, name))
        for config in configs.values()
        for name in ("_attn_implementation", "use_cache")
        if hasattr(config, name)
    ]
    try:
        module.eval()
        for config, name, _ in before:
            setattr(config, name, "eager" if name == "_attn_implementation" else False)
        yield
    finally:
        for config, name, value in before:
            setattr(config, name, value)
        for part, training in modes:
            part.training = training


def _without_full_mask(inputs: Values) -> Values:
    """The inputs without a mask that hides nothing: encoders look into one, which cannot be vectorised."""
    mask = inputs.get("attention_mask")
    if mask is None or not bool(mask.all()):
        return inputs
    return {name: values for name, values in inputs.items() if name != "attention_mask"}


def _size(inputs: Values) -> int:
    return len(next(iter(inputs.values())))


def _example(side: Values, row: int) -> Values:
    return {name: values[row] for name, values in side.items()}


def _gathered(gradients: Values, found: tuple[Tensor, Tensor]) -> GradientChunk:
    outputs, doubts = found
    return GradientChunk(outputs, doubts, tuple(values.reshape(len(outputs), -1) for values in gradients.values()))
