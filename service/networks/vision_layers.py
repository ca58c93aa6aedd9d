"""The layers of a vision network: found by one image, or by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from service.errors import NetworkMismatch, UnknownName
from service.networks.blocks import Blocks, find_blocks, first_tensor

Pictures = Float[Tensor, "images channels height width"]
Layers = tuple[Blocks, tuple[str, ...], tuple[torch.Size, ...]]
UNRUNNABLE = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError)


def find_vision_layers(module: nn.Module, pixels: Pictures) -> Layers:
    """The layers of an image classifier of transformers, their names by depth, and the shapes of their states.

    The list of modules that yields its hidden states; where it tells none, or others, the outermost list of modules that are
    each called once. Raises NetworkMismatch.
    """
    try:
        with torch.no_grad():
            told = module(pixels, output_hidden_states=True).hidden_states
    except UNRUNNABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise NetworkMismatch(f"this {type(module).__name__} does not run on an image: {reason}") from error
    try:
        blocks = find_blocks(module, len(told or ()) - 1, pixels)
    except NetworkMismatch:
        blocks = _listed(module, pixels)
    known = {found: name for name, found in module.named_modules()}
    names = [known[found] for found in blocks.modules]
    inner = [names[layer % len(names)] for layer in range(blocks.layers)]
    ends = [known[blocks.base] or "output"] if blocks.normed else []
    return blocks, (f"input of {inner[0]}", *inner, *ends), state_shapes(blocks, module, pixels)


def named_layers(module: nn.Module, names: Sequence[str], pixels: Pictures) -> Layers:
    """The layers of those names in the order that they are called, depth 0 being what the first is given; without names the
    children of the module, those with several states an image where there are any.

    Raises UnknownName, NetworkMismatch (a layer that is not called, or several times, or gives no states).
    """
    known = dict(module.named_modules())
    for name in names:
        if not name or name not in known:
            raise UnknownName.of(f"layer of {type(module).__name__}", name, [one for one in known if one])
    calls = _calls(module, list(names) or [name for name, _ in module.named_children()], pixels)
    chosen = {name: calls[name] for name in calls if name in names} if names else _telling(calls)
    for name in names:
        _check_calls(name, calls.get(name, []))
    if not chosen:
        raise NetworkMismatch(f"no child of this {type(module).__name__} gives states of an image: name its layers")
    blocks = _called_once(module, [known[name] for name in chosen])
    ordered = tuple(chosen)
    return blocks, (f"input of {ordered[0]}", *ordered), state_shapes(blocks, module, pixels)


def state_shapes(blocks: Blocks, module: nn.Module, pixels: Pictures) -> tuple[torch.Size, ...]:
    """The shape of the states at each depth. Raises NetworkMismatch."""
    shapes: dict[int, torch.Size] = {}

    def note(depth: int, states: Tensor) -> None:
        shapes[depth] = states.shape

    with torch.no_grad(), blocks.capturing(note):
        module(pixels)
    for depth, shape in shapes.items():
        if len(shape) not in {2, 3, 4} or shape[0] != len(pixels):
            raise NetworkMismatch(
                f"layer {depth} gives states of shape {tuple(shape)}: (images, width), (images, patches, width) or "
                "(images, channels, height, width) is needed"
            )
    return tuple(shapes[depth] for depth in sorted(shapes))


def hidden_width(shape: torch.Size) -> int:
    """The size of a state in a tensor of that shape: channels come second in (images, channels, height, width)."""
    return int(shape[2] if len(shape) == 3 else shape[1])


def _called_once(module: nn.Module, layers: Sequence[nn.Module]) -> Blocks:
    return Blocks(tuple(layers), module, len(layers), None, None, None, normed=False)


def _calls(module: nn.Module, names: Sequence[str], pixels: Pictures) -> dict[str, list[Tensor | None]]:
    """What each of some modules gave in a pass, in the order in which their first calls ended; None for what is no states.

    Raises NetworkMismatch where the module does not run.
    """
    calls: dict[str, list[Tensor | None]] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            calls.setdefault(name, []).append(_states(output, len(pixels)))

        return note

    hooks = [module.get_submodule(name).register_forward_hook(noting(name)) for name in names]
    try:
        with torch.no_grad():
            module(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _states(output: Any, images: int) -> Tensor | None:
    try:
        states = first_tensor(output)
    except (TypeError, IndexError, KeyError):
        return None
    fits = isinstance(states, Tensor) and states.is_floating_point() and states.ndim in {2, 3, 4}
    return states if fits and len(states) == images else None


def _check_calls(name: str, calls: Sequence[Tensor | None]) -> None:
    if len(calls) != 1:
        times = f"called {len(calls)} times" if calls else "not called"
        raise NetworkMismatch(f"layer {name} is {times} when an image is read: name layers that are called once")
    if calls[0] is None:
        raise NetworkMismatch(f"layer {name} gives no float tensor with one entry an image: name another")


def _telling(calls: dict[str, list[Tensor | None]]) -> dict[str, list[Tensor | None]]:
    """Those that are called once and give states; those with several states an image where there are any."""
    once = {name: found for name, found in calls.items() if len(found) == 1 and found[0] is not None}
    spread = {name: found for name, found in once.items() if found[0] is not None and _places(found[0]) > 1}
    return spread or once


def _places(states: Tensor) -> int:
    if states.ndim == 2:
        return 1
    return states.shape[1] if states.ndim == 3 else states[0, 0].numel()


def _listed(module: nn.Module, pixels: Pictures) -> Blocks:
    """The outermost list of two modules or more that are each called once and give states with places."""
    lists = [name for name, found in module.named_modules() if isinstance(found, nn.ModuleList | nn.Sequential)]
    for name in sorted(lists, key=lambda name: name.count(".")):
        children = [f"{name}.{child}".strip(".") for child, _ in module.get_submodule(name).named_children()]
        calls = _calls(module, children, pixels)
        told = _telling(calls)
        if len(told) == len(children) > 1 and all(
            found[0] is not None and found[0].ndim > 2 for found in told.values()
        ):
            return _called_once(module, [module.get_submodule(child) for child in told])
    raise NetworkMismatch(
        f"the layers of this {type(module).__name__} were not found: no list of modules yields its hidden states"
    )
