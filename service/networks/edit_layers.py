"""Where a network can be edited: its weight matrices, by the names of their modules, in the order in which they are called."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from service.errors import BadInput, UnknownName
from service.networks.blocks import block_input
from service.networks.loading import Network
from service.networks.vision import VisionNetwork
from service.networks.vision_layers import hidden_width

WEIGHTED = (nn.Linear, nn.Conv2d, Conv1D)
PROBE_TOKENS = 5
Matrix = Float[Tensor, "outputs inputs"]


def weight_layers(network: Network) -> tuple[str, ...]:
    """The modules with a weight matrix that a pass over an input calls, in the order of their first calls: linear ones and
    convolutions. A head whose weight is that of an embedding is left out, as are embeddings."""
    return _weighted(network, called(network))


def named_layer(network: Network, layer: str) -> str:
    """The name of the module that `layer` stands for: its name as it is, or a depth (1 to L) for the last weight matrix of that
    block which gives the block's width: the down projection of its MLP, its last convolution. What reads the block's own input
    is a shortcut and comes last. Where a module and a depth are called alike, the module is meant.

    Raises UnknownName (no such module or depth), BadInput (a module without a weight matrix, or one that takes no part).
    """
    calls = called(network)
    known = _weighted(network, calls)
    if layer in known:
        return layer
    parts = dict(network.module.named_modules())
    if layer in parts and layer:
        raise BadInput(f"{_refusal(layer, parts[layer])}: give one of {_listed(known)}, or a depth")
    if layer.isdecimal():
        return _at_depth(network, int(layer), known, calls)
    raise UnknownName.of(f"layer of {network.checkpoint.label}", layer, known)


def called(network: Network) -> dict[str, Tensor | None]:
    """What each module was first given in a pass over one small input, by name and in the order of their first calls; None
    where it was no tensor. The whole network, which is named '', is the first."""
    given: dict[str, Tensor | None] = {}

    def noting(name: str) -> Any:
        def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given.setdefault(name, _tensor(args, kwargs))

        return note

    parts = network.module.named_modules()
    hooks = [part.register_forward_pre_hook(noting(name), with_kwargs=True) for name, part in parts]
    try:
        with torch.no_grad():
            network.read(_probe(network))
    finally:
        for hook in hooks:
            hook.remove()
    return given


def parameters_from(network: Network, layer: str) -> tuple[str, ...]:
    """The parameters of the modules that are first called when `layer` is, or later; not those that are also an earlier
    module's (a head tied to the embedding)."""
    order = {name: place for place, name in enumerate(called(network))}
    owners: dict[Tensor, list[str]] = {}
    for name, weight in network.module.named_parameters(remove_duplicate=False):
        owners.setdefault(weight, []).append(name)
    late = [names[0] for names in owners.values() if min(_call_of(name, order) for name in names) >= order[layer]]
    return tuple(late)


def matrix_of(network: Network, layer: str) -> Matrix:
    """The weight matrix of a module, a convolution's as (outputs, channels x height x width of its kernel); detached."""
    return weight_matrix(network.module.get_submodule(layer)).detach()


def weight_matrix(module: nn.Module, weight: Tensor | None = None) -> Matrix:
    """A module's weight, or `weight` in its place, as a matrix that takes inputs to outputs."""
    held: Any = module
    found: Tensor = held.weight if weight is None else weight
    return found.T if isinstance(module, Conv1D) else found.flatten(1)


def in_shape(module: nn.Module, matrix: Matrix) -> Tensor:
    """A matrix (outputs, inputs) in the shape of a module's weight."""
    held: Any = module
    return matrix.T.contiguous() if isinstance(module, Conv1D) else matrix.reshape(held.weight.shape)


def _weighted(network: Network, calls: dict[str, Tensor | None]) -> tuple[str, ...]:
    parts: dict[str, Any] = dict(network.module.named_modules())
    tables = [part.weight for part in parts.values() if isinstance(part, nn.Embedding)]
    return tuple(
        name
        for name in calls
        if isinstance(parts[name], WEIGHTED) and not any(parts[name].weight is table for table in tables)
    )


def _at_depth(network: Network, depth: int, known: tuple[str, ...], calls: dict[str, Tensor | None]) -> str:
    blocks = network.blocks
    if not 1 <= depth <= blocks.layers:
        raise UnknownName(f"layer {depth} is not there: {network.checkpoint.label} has layers 1 to {blocks.layers}")
    block = blocks.modules[(depth - 1) % len(blocks.modules)]
    own = next(name for name, part in network.module.named_modules() if part is block)
    width = _widths(network)[depth]
    inside = [name for name in known if name == own or name.startswith(f"{own}.")]
    wide = [name for name in inside if len(matrix_of(network, name)) == width]
    if not wide:
        raise BadInput(
            f"layer {depth} ({own}) has no weight matrix that gives its width, {width}: give one of {_listed(known)}"
        )
    through = [name for name in wide if calls[name] is None or calls[name] is not calls[own]]
    return (through or wide)[-1]


def _widths(network: Network) -> dict[int, int]:
    """The width of the states by depth."""
    found: dict[int, int] = {}

    def take(depth: int, states: Tensor) -> None:
        found[depth] = hidden_width(states.shape)

    with torch.no_grad(), network.blocks.capturing(take):
        network.read(_probe(network))
    return found


def _probe(network: Network) -> dict[str, Tensor]:
    """One small input that the network reads."""
    if isinstance(network, VisionNetwork):
        return {"pixel_values": network.found.pixels.to(network.device)}
    return {"input_ids": torch.arange(PROBE_TOKENS, device=network.device)[None] % network.embedded_tokens}


def _tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    try:
        found = block_input(args, kwargs)
    except (KeyError, IndexError, TypeError):
        return None
    return found if isinstance(found, Tensor) else None


def _call_of(parameter: str, order: dict[str, int]) -> int:
    """When the module that holds a parameter is called, or the next one around it that is."""
    name = parameter.rpartition(".")[0]
    while name not in order:
        name = name.rpartition(".")[0]
    return order[name]


def _refusal(layer: str, module: nn.Module) -> str:
    if isinstance(module, WEIGHTED):
        return f"{layer} takes no part in a pass, or its weight is an embedding's"
    return f"{layer} is a {type(module).__name__}, which has no weight matrix"


def _listed(names: tuple[str, ...], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
