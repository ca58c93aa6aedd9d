"""The layers of a vision network: found by one image, or by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from service.errors import NetworkMismatch, UnknownName
from service.networks.blocks import Blocks, find_blocks, first_tensor, same_states

Pictures = Float[Tensor, "images channels height width"]
UNRUNNABLE = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError)


@dataclass(frozen=True, eq=False)
class VisionLayers:
    """The layers of a vision network. By depth, 0 being what the first layer is given: the modules' `names`, the `shapes` of
    the states of the images that they were found with, and the `entries` of Hugging Face's hidden states that they equal.
    `pixels` are those images."""

    blocks: Blocks
    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    entries: tuple[int | None, ...]
    pixels: Pictures


def find_vision_layers(module: nn.Module, pixels: Pictures) -> VisionLayers:
    """The layers of an image classifier of transformers: the list of modules that yields its hidden states; where no list does,
    the outermost modules that give them. Raises NetworkMismatch."""
    try:
        with torch.no_grad():
            told = module(pixels, output_hidden_states=True).hidden_states or ()
    except UNRUNNABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise NetworkMismatch(f"this {type(module).__name__} does not run on an image: {reason}") from error
    try:
        blocks = find_blocks(module, len(told) - 1, pixels)
    except NetworkMismatch:
        blocks = _givers(module, pixels, told)
    return _described(blocks, module, pixels, told)


def named_layers(module: nn.Module, names: Sequence[str], pixels: Pictures) -> VisionLayers:
    """The layers of those names in the order that they are called, depth 0 being what the first is given; without names the
    children of the module, those with several states an image where there are any.

    Raises UnknownName, NetworkMismatch (a layer that is not called, or several times, or gives no states).
    """
    known = dict(module.named_modules())
    for name in names:
        if not name or name not in known:
            raise UnknownName.of(f"layer of {type(module).__name__}", name, [one for one in known if one])
    calls = _calls(module, list(names) or [name for name, _ in module.named_children()], pixels)
    for name in names:
        _check_calls(name, calls.get(name, []))
    chosen = list(calls if names else _telling(calls))
    if not chosen:
        raise NetworkMismatch(f"no child of this {type(module).__name__} gives states of an image: name its layers")
    return _described(_called_once(module, [known[name] for name in chosen]), module, pixels, ())


def state_shapes(blocks: Blocks, module: nn.Module, pixels: Pictures) -> tuple[torch.Size, ...]:
    """The shape of the states at each depth. Raises NetworkMismatch."""
    return tuple(states.shape for states in _captured(blocks, module, pixels))


def hidden_width(shape: torch.Size) -> int:
    """The size of a state in a tensor of that shape: channels come second in (images, channels, height, width)."""
    return int(shape[2] if len(shape) == 3 else shape[1])


def _described(blocks: Blocks, module: nn.Module, pixels: Pictures, told: Sequence[Tensor]) -> VisionLayers:
    known = {found: name for name, found in module.named_modules()}
    own = [known[found] for found in blocks.modules]
    inner = [own[layer % len(own)] for layer in range(blocks.layers)]
    ends = [known[blocks.base] or "output"] if blocks.normed else []
    states = _captured(blocks, module, pixels)
    entries: list[int | None] = []
    for found in states:
        rest = range(max([entry for entry in entries if entry is not None], default=-1) + 1, len(told))
        entries.append(next((entry for entry in rest if same_states(told[entry], found)), None))
    shapes = tuple(found.shape for found in states)
    return VisionLayers(blocks, (f"input of {inner[0]}", *inner, *ends), shapes, tuple(entries), pixels)


def _captured(blocks: Blocks, module: nn.Module, pixels: Pictures) -> list[Tensor]:
    """The states by depth."""
    held: dict[int, Tensor] = {}
    with torch.no_grad(), blocks.capturing(held.__setitem__):
        module(pixels)
    for depth, states in held.items():
        if states.ndim not in {2, 3, 4} or len(states) != len(pixels):
            raise NetworkMismatch(
                f"layer {depth} gives states of shape {tuple(states.shape)}: (images, width), (images, patches, width) or "
                "(images, channels, height, width) is needed"
            )
    return [held[depth] for depth in sorted(held)]


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

    _listen(module, pixels, names, noting)
    return calls


def _listen(
    module: nn.Module, pixels: Pictures, names: Iterable[str], noting: Callable[[str], Callable[..., None]]
) -> None:
    """Have the hook that `noting` makes for each name told what that module gives in one pass."""
    hooks = [module.get_submodule(name).register_forward_hook(noting(name)) for name in names]
    try:
        with torch.no_grad():
            module(pixels)
    finally:
        for hook in hooks:
            hook.remove()


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


def _givers(module: nn.Module, pixels: Pictures, told: Sequence[Tensor]) -> Blocks:
    """The outermost module that gives each hidden state, where one does. Raises NetworkMismatch where fewer than two do."""
    gives: dict[int, str] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            states = None if hasattr(output, "last_hidden_state") else _states(output, len(pixels))
            for entry, one in enumerate(told if states is not None else ()):
                outer = entry not in gives or name.count(".") < gives[entry].count(".")
                if outer and states is not None and same_states(one, states):
                    gives[entry] = name

        return note

    _listen(module, pixels, [name for name, _ in module.named_modules() if name], noting)
    names = list(dict.fromkeys(gives[entry] for entry in sorted(gives)))
    if len(names) < 2:
        raise NetworkMismatch(
            f"the layers of this {type(module).__name__} were not found: no modules in it yield its hidden states"
        )
    return _called_once(module, [module.get_submodule(name) for name in names])
