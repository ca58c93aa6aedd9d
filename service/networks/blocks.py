"""Where a network's layers are: found by one tiny forward pass, never assumed from the name of the architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from service.errors import NetworkMismatch

Take = Callable[[int, Tensor], None]


class Call(NamedTuple):
    """What one call of a module was given and gave, and whether it gave that alone."""

    given: Tensor
    states: Tensor
    bare: bool


def first_tensor(output: Any) -> Tensor:
    """The hidden state in a module's output, which may be the first of several."""
    if isinstance(output, Tensor):
        return output
    if hasattr(output, "last_hidden_state"):
        return first_tensor(output.last_hidden_state)
    return first_tensor(output[0])


def with_first(output: Any, states: Tensor) -> Any:
    """A module's output with other hidden states in it. Raises NetworkMismatch where it is neither a tensor nor a tuple."""
    if isinstance(output, Tensor):
        return states
    if isinstance(output, tuple) and output and isinstance(output[0], Tensor):
        return (states, *output[1:])
    raise NetworkMismatch(f"a block gives {type(output).__name__}: the states in it cannot be replaced")


def block_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The hidden state that a block is given, by place or by name."""
    return first_tensor(args if args else kwargs.get("hidden_states", next(iter(kwargs.values()), None)))


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of a network in the order they are called; one module may be called `layers` times (shared weights).

    `embedding_entry`, `normed_entry` and `final_entry` are entries of Hugging Face's `hidden_states`: that of the first
    block's input; the one taken after the final norm; the one that equals the base model's output. None where none is.
    `normed` says whether the base model's output differs from the last block's, `bare` whether a block gives its states alone.
    """

    modules: tuple[nn.Module, ...]
    base: nn.Module
    layers: int
    embedding_entry: int | None
    normed_entry: int | None
    final_entry: int | None
    normed: bool
    bare: bool = False

    @contextmanager
    def capturing(self, take: Take) -> Iterator[None]:
        """Within the block, each forward pass hands `take` the states by depth: 0 the embedding, 1 to L the blocks'
        outputs, L + 1 the normed state. Hooks are gone afterwards, also after an exception."""
        calls = [-1]  # before the first block; one may lie in another

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if calls[0] < 0:
                calls[0] = 0
                take(0, block_input(args, kwargs))

        def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            calls[0] += 1
            take(calls[0], first_tensor(output))

        def end(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            if self.normed:
                take(self.layers + 1, first_tensor(output))
            calls[0] = -1

        hooks = [module.register_forward_pre_hook(before, with_kwargs=True) for module in self.modules]
        hooks += [module.register_forward_hook(after) for module in self.modules]
        hooks.append(self.base.register_forward_hook(end))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def replacing(self, layer: int, new: Callable[[], Tensor]) -> Iterator[None]:
        """Within the block, the output of block `layer` (1 to L) is `new()` instead, and what comes after it runs on that.
        Hooks are gone afterwards, also after an exception."""
        calls = [0]

        def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
            calls[0] += 1
            return with_first(output, new()) if calls[0] == layer else None

        def begin(_: nn.Module, __: tuple[Any, ...]) -> None:
            calls[0] = 0

        hooks = [module.register_forward_hook(after) for module in self.modules]
        hooks.append(self.base.register_forward_pre_hook(begin))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def starting_after(self, layer: int, new: Callable[[], Tensor]) -> Iterator[None]:
        """Within the block, a forward pass starts after block `layer` (1 to L) on `new()` for its output. The blocks up to it
        are not run, unless blocks give more than their states: others may need that. All is as it was afterwards, also after
        an exception."""
        if not self.bare:
            with self.replacing(layer, new):
                yield
            return
        calls, own = [0], [vars(module).get("forward") for module in self.modules]

        def passing(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
            def forward(*args: Any, **kwargs: Any) -> Tensor:
                calls[0] += 1
                if calls[0] > layer:
                    return run(*args, **kwargs)
                return new() if calls[0] == layer else block_input(args, kwargs)

            return forward

        def begin(_: nn.Module, __: tuple[Any, ...]) -> None:
            calls[0] = 0

        hook = self.base.register_forward_pre_hook(begin)
        try:
            for module in self.modules:
                module.forward = passing(module.forward)
            yield
        finally:
            hook.remove()
            for module, before in zip(self.modules, own, strict=True):
                _give_back(module, before)


def _give_back(module: nn.Module, forward: Callable[..., Any] | None) -> None:
    """The `forward` that a module had of its own, or its class's where it had none."""
    if forward is not None:
        module.forward = forward
    else:
        vars(module).pop("forward", None)


def find_blocks(module: nn.Module, layers: int, token_ids: Tensor) -> Blocks:
    """The blocks of `module`: the list of modules whose outputs are its hidden states, layer by layer.

    Raises NetworkMismatch where no list of modules is called `layers` times with those outputs.
    """
    lists = {name: found for name, found in module.named_modules() if isinstance(found, nn.ModuleList) and len(found)}
    calls: dict[str, list[Call]] = {name: [] for name in lists}
    hooks = [
        child.register_forward_hook(_recorder(calls[name]), with_kwargs=True)
        for name, found in lists.items()
        for child in found
    ]
    ended: dict[str, Tensor] = {}
    around = {name for path in lists for name in _ancestors(path)}
    hooks += [module.get_submodule(name).register_forward_hook(_ender(ended, name)) for name in around]
    try:
        with torch.no_grad():
            states = module(token_ids, output_hidden_states=True).hidden_states
    finally:
        for hook in hooks:
            hook.remove()
    for name, found in lists.items():
        base = next((outer for outer in _ancestors(name) if outer in ended), None)
        if states is not None and base is not None and _are_blocks(calls[name], states, layers):
            return _blocks(tuple(found), module.get_submodule(base), calls[name], states, ended[base])
    raise NetworkMismatch(
        f"the layers of this {type(module).__name__} were not found: no list of modules is called {layers} times and "
        "yields its hidden states"
    )


def _ancestors(path: str) -> list[str]:
    """The names of the modules around one, outermost first."""
    parts = path.split(".")[:-1]
    return [".".join(parts[:depth]) for depth in range(len(parts) + 1)]


def _ender(ended: dict[str, Tensor], name: str) -> Callable[..., None]:
    """Notes what a module without a head ends with."""

    def note(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        if isinstance(getattr(output, "last_hidden_state", None), Tensor):
            ended[name] = output.last_hidden_state

    return note


def _recorder(calls: list[Call]) -> Callable[..., None]:
    def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        try:
            calls.append(Call(block_input(args, kwargs), first_tensor(output), isinstance(output, Tensor)))
        except (KeyError, IndexError, TypeError):  # a list of something that is no block
            return

    return record


def same_states(one: Tensor, other: Tensor) -> bool:
    """Whether both hold the same numbers; where these are NaN, which equal anything, whether both are one tensor."""
    if one.shape != other.shape:
        return False
    if torch.isnan(one).any() and torch.isnan(other).any():
        return one.data_ptr() == other.data_ptr()
    return torch.allclose(one, other)


def _are_blocks(calls: list[Call], states: tuple[Tensor, ...], layers: int) -> bool:
    if len(calls) != layers or (layers == 1 and not same_states(calls[0].given, states[0])):
        return False
    between = range(min(layers - 1, len(states) - 2))
    return all(same_states(calls[place].states, states[place + 1]) for place in between)


def _blocks(
    found: tuple[nn.Module, ...],
    base: nn.Module,
    calls: list[Call],
    states: tuple[Tensor, ...],
    ended: Tensor,
) -> Blocks:
    last, entry = calls[-1].states, len(states) - 1
    unique = tuple(dict.fromkeys(found))
    return Blocks(
        modules=unique,
        base=base,
        layers=len(calls),
        embedding_entry=0 if same_states(calls[0].given, states[0]) else None,
        normed_entry=None if same_states(last, states[-1]) else entry,
        final_entry=entry if same_states(ended, states[-1]) else None,
        normed=not same_states(last, ended),
        bare=all(call.bare for call in calls),
    )
