"""Passes of a decoder over a prompt whose subject is corrupted, while some of what it computed without that is put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from service.errors import BadInput, NetworkMismatch
from service.networks.edit_cases import scores_of
from service.networks.edit_layers import named_layer
from service.networks.loading import Network
from service.networks.subject_prompts import SubjectPrompt

Restored = Literal["state", "mlp"]


@dataclass(frozen=True, eq=False)
class CorruptedRuns:
    """Passes over one prompt, up to what it asks, with its subject's embeddings moved by `noise`; some states are restored, or
    what the modules named `mlps` give, a layer each.

    `clean` are the states of the undisturbed pass by depth, 1 to L at 0 to L - 1, and `clean_mlps` what its MLPs gave. `answer`
    is the token that it finds the likeliest, with `clean_probability`.
    """

    network: Network
    prompt: SubjectPrompt
    noise: Float[Tensor, "samples subject width"]
    mlps: tuple[str, ...]
    clean: Float[Tensor, "layers length width"]
    clean_mlps: Float[Tensor, "layers length width"]
    answer: int
    clean_probability: float

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        network: Network,
        prompt: SubjectPrompt,
        noise: Float[Tensor, "samples subject width"],
        mlps: tuple[str, ...],
    ) -> CorruptedRuns:
        """Those of a prompt, with its undisturbed pass. Raises NetworkMismatch for MLPs that give no vector a token."""
        states: dict[int, Tensor] = {}
        gave: dict[str, Tensor] = {}
        with ExitStack() as hooks:
            hooks.enter_context(
                network.blocks.capturing(lambda depth, state: states.__setitem__(depth, state[0].clone()))
            )
            for name in mlps:
                note = partial(_note, gave, name)
                hooks.callback(network.module.get_submodule(name).register_forward_hook(note).remove)
            found = _probabilities(network, prompt, 1)[0]
        clean = torch.stack([states[depth] for depth in range(1, network.blocks.layers + 1)])
        lacking = [name for name in mlps if name not in gave or gave[name].numel() != clean[0].numel()]
        if lacking:
            raise NetworkMismatch(f"{lacking[0]} gives no vector for each token: it cannot be restored, give a layer")
        given = torch.stack([gave[name].reshape(clean.shape[1:]) for name in mlps])
        answer = int(found.argmax())
        return cls(network, prompt, noise, mlps, clean, given, answer, found[answer].item())

    @cached_property
    def without(self) -> Float[Tensor, " samples"]:
        """The answer's probability where nothing is restored."""
        return self.probabilities(torch.arange(len(self.noise)))

    @torch.no_grad()
    def probabilities(
        self, samples: Tensor, at: Bool[Tensor, "layers rows length"] | None = None, restored: Restored = "state"
    ) -> Float[Tensor, " rows"]:
        """The answer's probability by row: one of the noise's `samples` each, with what is `restored` of the layers and places
        of `at`."""
        layers = [] if at is None else [layer for layer in range(len(at)) if at[layer].any()]
        with ExitStack() as hooks:
            hooks.enter_context(self._corrupted(samples))
            restore = self._with_states if restored == "state" else self._with_mlps
            restore(hooks, {layer: at[layer, :, :, None].to(self.clean.device) for layer in layers})  # type: ignore[index]
            return _probabilities(self.network, self.prompt, len(samples))[:, self.answer].cpu()

    def _with_states(self, hooks: ExitStack, at: dict[int, Tensor]) -> None:
        found: dict[int, Tensor] = {}

        def state(layer: int) -> Tensor:
            return torch.where(at[layer], self.clean[layer], found[layer + 1])

        hooks.enter_context(self.network.blocks.capturing(found.__setitem__))
        for layer in at:
            hooks.enter_context(self.network.blocks.replacing(layer + 1, partial(state, layer)))

    def _with_mlps(self, hooks: ExitStack, at: dict[int, Tensor]) -> None:
        def output(layer: int, _: Any, __: Any, gave: Tensor) -> Tensor:
            by_row = gave.reshape(*at[layer].shape[:2], -1)  # some architectures put all rows' tokens into one list
            return torch.where(at[layer], self.clean_mlps[layer], by_row).reshape(gave.shape)

        for layer in at:
            module = self.network.module.get_submodule(self.mlps[layer])
            hooks.callback(module.register_forward_hook(partial(output, layer)).remove)

    @contextmanager
    def _corrupted(self, samples: Tensor) -> Iterator[None]:
        module: Any = self.network.module
        where = slice(self.prompt.first, self.prompt.last + 1)

        def after(_: Any, __: Any, embeddings: Tensor) -> Tensor:
            moved = embeddings.clone()
            moved[:, where] += self.noise[samples].to(embeddings)
            return moved

        hook = module.get_input_embeddings().register_forward_hook(after)
        try:
            yield
        finally:
            hook.remove()


def mlps_of(network: Network) -> tuple[str, ...]:
    """The module of each layer by which its MLP adds to the states: the one that ROME would change. Raises BadInput where a
    layer has none, or shares it."""
    found = tuple(named_layer(network, str(depth)) for depth in range(1, network.blocks.layers + 1))
    if len(set(found)) < len(found):
        raise BadInput(
            f"{network.checkpoint.label} has layers that share an MLP, which cannot be told apart: give a layer"
        )
    return found


def _note(gave: dict[str, Tensor], name: str, _: Any, __: Any, output: Tensor) -> None:
    gave[name] = output.clone()


def _probabilities(network: Network, prompt: SubjectPrompt, rows: int) -> Float[Tensor, "rows tokens"]:
    """The probabilities of the next token, of as many passes as there are rows; float64."""
    ids = prompt.ids[: prompt.end + 1].to(network.device).expand(rows, -1)
    scores = scores_of(network, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})[:, -1]
    return scores.double().softmax(-1)
