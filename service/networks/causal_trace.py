"""Where a decoder keeps what it says of a subject: the subject is corrupted, and one state after another restored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from service.errors import BadInput
from service.networks.edit_cases import Cases, scores_of
from service.networks.loading import Network
from service.networks.subject_prompts import SubjectPrompt, subject_prompts

PLACES = ("subject-first", "subject-middle", "subject-last", "after-subject", "further", "last")
BATCH_TOKENS = 4096


@dataclass(frozen=True)
class TraceEffect:
    """What restoring the output of block `layer` (1 to L) at one kind of place does: the probability of the target's first
    token with it less that without, the mean over cases, each the mean over its samples of noise. 0 is nothing, 1 all.

    `place` is one of `PLACES`; a subject of one token is its own first and last. `n` counts the cases that have such a place
    and `std_error` is that of their mean; of a single case they are those of its samples. None where there is one of them.

    Source: Meng et al. 2022, https://arxiv.org/abs/2202.05262, section 2.1 (the indirect effect)
    """

    layer: int
    place: str
    effect: float
    std_error: float | None
    n: int


@dataclass(frozen=True, eq=False)
class CorruptedRuns:
    """Passes over one prompt, up to what it asks, with its subject's embeddings moved by `noise`; some states are restored.

    `clean` are the states of the undisturbed pass by depth, 1 to L at 0 to L - 1, and `clean_probability` what it gives the
    target.
    """

    network: Network
    prompt: SubjectPrompt
    noise: Float[Tensor, "samples subject width"]
    clean: Float[Tensor, "layers length width"]
    clean_probability: float

    @classmethod
    @torch.no_grad()
    def of(
        cls, network: Network, prompt: SubjectPrompt, noise: Float[Tensor, "samples subject width"]
    ) -> CorruptedRuns:
        """Those of a prompt, with its undisturbed pass."""
        states: dict[int, Tensor] = {}
        with network.blocks.capturing(lambda depth, state: states.__setitem__(depth, state[0].clone())):
            found = _probabilities(network, prompt, 1)
        clean = torch.stack([states[depth] for depth in range(1, network.blocks.layers + 1)])
        return cls(network, prompt, noise, clean, found.item())

    @torch.no_grad()
    def probabilities(
        self, samples: Tensor, restored: Bool[Tensor, "layers rows length"] | None = None
    ) -> Float[Tensor, " rows"]:
        """The target's probability by row: one of the noise's `samples` each, with the states that are `restored`."""
        found: dict[int, Tensor] = {}
        layers = [] if restored is None else [layer for layer in range(len(restored)) if restored[layer].any()]
        with ExitStack() as hooks:
            hooks.enter_context(self._corrupted(samples))
            hooks.enter_context(self.network.blocks.capturing(found.__setitem__))
            for layer in layers:
                at = restored[layer, :, :, None].to(self.clean.device)  # type: ignore[index]
                new = partial(self._restored, found, layer, at)
                hooks.enter_context(self.network.blocks.replacing(layer + 1, new))
            return _probabilities(self.network, self.prompt, len(samples))

    def _restored(self, found: dict[int, Tensor], layer: int, at: Tensor) -> Tensor:
        return torch.where(at, self.clean[layer], found[layer + 1])

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


def causal_trace(
    network: Network,
    cases: Cases,
    samples: int = 10,
    noise: float = 3.0,
    seed: int = 0,
    on_case: Callable[[int, int], None] | None = None,
) -> tuple[TraceEffect, ...]:
    """The effect of every layer at every kind of place, by layer and place; kinds that no case has are left out.

    The embeddings of the subject's tokens are moved by Gaussian noise of `noise` standard deviations of all subjects' embedding
    coordinates, `samples` times a case. `on_case` is told cases done and in all. Raises BadInput for a network that is no
    decoder, cases without subjects, and fewer samples than one.
    """
    if samples < 1 or not math.isfinite(noise) or noise < 0:
        raise BadInput(
            f"a trace needs samples of noise, 1 or more, and noise of 0 or more: {samples} and {noise} given"
        )
    prompts = subject_prompts(network, cases, "a causal trace")
    scale, width = subject_spread(network, prompts)
    generator = torch.Generator().manual_seed(seed)
    by_case = []
    for done, prompt in enumerate(prompts, 1):
        drawn = noise * scale * torch.randn(samples, len(prompt.subject), width, generator=generator)
        by_case.append(case_effects(CorruptedRuns.of(network, prompt, drawn.to(network.device))))
        if on_case:
            on_case(done, len(prompts))
    kinds = [(layer, place) for layer in range(1, network.blocks.layers + 1) for place in PLACES]
    return tuple(
        _summary(layer, place, own)
        for layer, place in kinds
        if (own := [found[place][layer - 1] for found in by_case if place in found])
    )


def located_layer(effects: Iterable[TraceEffect]) -> int:
    """The depth (1 to L) whose state at the subject's last token has the largest effect; the lowest of equals.

    Raises BadInput where there is none.
    """
    found = [one for one in effects if one.place == "subject-last"]
    if not found:
        raise BadInput("no effect at a subject's last token is among those given: trace cases that name a subject")
    return min(found, key=lambda one: (-one.effect, one.layer)).layer


def case_effects(runs: CorruptedRuns) -> dict[str, Float[Tensor, "layers samples"]]:
    """The effects of one prompt by kind of place, the mean over the places of that kind."""
    samples, length, layers = len(runs.noise), runs.prompt.end + 1, len(runs.clean)
    without = runs.probabilities(torch.arange(samples))
    each = torch.empty(layers, samples, length, dtype=torch.float64)
    rows = torch.cartesian_prod(torch.arange(layers), torch.arange(samples), torch.arange(length))
    for some in rows.split(max(1, BATCH_TOKENS // length)):
        restored = torch.zeros(layers, len(some), length, dtype=torch.bool)
        restored[some[:, 0], torch.arange(len(some)), some[:, 2]] = True
        found = runs.probabilities(some[:, 1], restored)
        each[some[:, 0], some[:, 1], some[:, 2]] = found - without[some[:, 1]]
    return {place: each[:, :, where].mean(2) for place, where in places_of(runs.prompt).items()}


def places_of(prompt: SubjectPrompt) -> dict[str, list[int]]:
    """The places of a prompt by kind, without those that it has none of."""
    first, last, end = prompt.first, prompt.last, prompt.end
    middle, after = [*range(first + 1, last)], [*range(last + 1, end + 1)]
    kinds = dict(zip(PLACES, ([first], middle, [last], after[:1], after[1:-1], [end]), strict=True))
    return {kind: where for kind, where in kinds.items() if where}


@torch.no_grad()
def subject_spread(network: Network, prompts: Iterable[SubjectPrompt]) -> tuple[float, int]:
    """The standard deviation of the coordinates of all subjects' token embeddings, and how many a token has."""
    module: Any = network.module
    ids = torch.tensor([token for prompt in prompts for token in prompt.subject], device=network.device)
    embeddings = module.get_input_embeddings()(ids).double()
    return embeddings.std().item(), embeddings.shape[1]


def _probabilities(network: Network, prompt: SubjectPrompt, rows: int) -> Float[Tensor, " rows"]:
    """The probability of the target's first token, of as many passes as there are rows; float64, on the CPU."""
    ids = prompt.ids[: prompt.end + 1].to(network.device).expand(rows, -1)
    scores = scores_of(network, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})[:, -1]
    return scores.double().softmax(-1)[:, prompt.targets[prompt.end]].cpu()


def _summary(layer: int, place: str, by_case: list[Tensor]) -> TraceEffect:
    values = by_case[0] if len(by_case) == 1 else torch.stack([one.mean() for one in by_case])
    error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else None
    return TraceEffect(layer, place, values.mean().item(), error, len(values))
