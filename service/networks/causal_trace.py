"""Where a decoder keeps what it says of a subject: the subject is corrupted, and one state after another restored, or what the
MLPs of some layers give."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from service.errors import BadInput
from service.networks.corrupted_runs import CorruptedRuns, Restored, mlps_of
from service.networks.edit_cases import Cases
from service.networks.loading import Network
from service.networks.subject_prompts import SubjectPrompt, subject_prompts

PLACES = ("subject-first", "subject-middle", "subject-last", "after-subject", "further", "last")
SHARE_OF_DEPTH = 10 / 48  # of the layers whose MLPs are restored together: the paper's 10 in the 48 layers of GPT-2 XL
ERRORS = 2.0  # standard errors that an effect has to be above 0 by
BATCH_TOKENS = 4096


@dataclass(frozen=True)
class TraceEffect:
    """What restoring something of layer `layer` (1 to L) at one kind of place does: the probability of the `answer` with it
    less that without, the mean over cases, each the mean over its samples of noise. 0 is nothing, 1 all.

    `restored` is `state`, the output of that block, or `mlp`, what the MLPs give in a window of layers around it, `layers` of
    them unless the first or the last layer cuts it short. `place` is one of `PLACES`; a subject of one token is its own first
    and last. `answer` is the token that the undisturbed network finds the likeliest after a case (of several cases all that
    there are), whatever the case asks for, and `clean_probability` what it gives it. `n` counts the cases that have such a
    place and `std_error` is that of their mean; of a single case they are those of its samples. None where there is one.

    Source: Meng et al. 2022, https://arxiv.org/abs/2202.05262, section 2.1 (the indirect effect)
    """

    layer: int
    place: str
    effect: float
    std_error: float | None
    n: int
    restored: Restored
    layers: int
    answer: str
    clean_probability: float
    note: str | None = None


def causal_trace(
    network: Network,
    cases: Cases,
    samples: int = 10,
    noise: float = 3.0,
    seed: int = 0,
    on_case: Callable[[int, int], None] | None = None,
) -> tuple[TraceEffect, ...]:
    """The effect of every layer at every kind of place, of states and then of MLPs, by layer and place; kinds of place that no
    case has are left out. What is asked of a case does not matter, but for where it is: followed is what the network itself
    would say there. Those of the MLPs at the subject's last token have a note where the layer cannot be told by them.

    The embeddings of the subject's tokens are moved by Gaussian noise of `noise` standard deviations of all subjects' embedding
    coordinates, `samples` times a case. `on_case` is told cases done and in all. Raises BadInput for a network that is no
    decoder or whose layers have no MLPs of their own, cases without subjects, and fewer samples than one; NetworkMismatch as
    `CorruptedRuns` does.
    """
    if samples < 1 or not math.isfinite(noise) or noise < 0:
        raise BadInput(
            f"a trace needs samples of noise, 1 or more, and noise of 0 or more: {samples} and {noise} given"
        )
    prompts = subject_prompts(network, cases, "a causal trace")
    scale, width = subject_spread(network, prompts)
    generator, mlps = torch.Generator().manual_seed(seed), mlps_of(network)
    by_case = []
    for done, prompt in enumerate(prompts, 1):
        drawn = noise * scale * torch.randn(samples, len(prompt.subject), width, generator=generator)
        by_case.append(_case(CorruptedRuns.of(network, prompt, drawn.to(network.device), mlps)))
        if on_case:
            on_case(done, len(prompts))
    kinds = itertools.product(get_args(Restored), range(1, network.blocks.layers + 1), PLACES)
    effects = tuple(
        _summary(network, restored, layer, place, own)
        for restored, layer, place in kinds
        if (own := [case for case in by_case if (restored, place) in case.found])
    )
    note = location(effects)[1]
    return tuple(replace(one, note=note) if _locates(one) else one for one in effects)


def location(effects: Iterable[TraceEffect]) -> tuple[int, str | None]:
    """The depth (1 to L) around which MLPs at the subject's last token have the largest effect, the lowest of equals; the
    middle layer, and why, where that is not above 0 by more than two standard errors.

    Raises BadInput where there is no such effect.
    """
    found = [one for one in effects if _locates(one)]
    if not found:
        raise BadInput(
            "no effect of MLPs at a subject's last token is among those given: trace cases that name a subject"
        )
    best = min(found, key=lambda one: (-one.effect, one.layer))
    if best.effect > ERRORS * (best.std_error or 0.0):
        return best.layer, None
    middle = (max(one.layer for one in found) + 1) // 2
    error = "" if best.std_error is None else f" +- {best.std_error:.2g}"
    return (
        middle,
        f"no layer stands out: the largest effect is {best.effect:.2g}{error}; layer {middle}, the middle one, is taken",
    )


def window_of(layers: int) -> int:
    """The MLPs of how many layers are restored together in a network of so many."""
    return max(1, round(SHARE_OF_DEPTH * layers))


def restored_together(layers: int, restored: Restored) -> Bool[Tensor, "layers layers"]:
    """By row the layers that are restored for one layer: of states itself, of MLPs a window with as many before it as from it
    on, or one less before it."""
    place, size = torch.arange(layers), window_of(layers) if restored == "mlp" else 1
    apart = place[None] - place[:, None]
    return (apart >= -(size // 2)) & (apart < size - size // 2)


def case_effects(runs: CorruptedRuns, restored: Restored = "state") -> dict[str, Float[Tensor, "layers samples"]]:
    """The effects of one prompt by kind of place, the mean over the places of that kind."""
    samples, length, layers = len(runs.noise), runs.prompt.end + 1, len(runs.clean)
    together = restored_together(layers, restored)
    each = torch.empty(layers, samples, length, dtype=torch.float64)
    rows = torch.cartesian_prod(torch.arange(layers), torch.arange(samples), torch.arange(length))
    for some in rows.split(max(1, BATCH_TOKENS // length)):
        at = torch.zeros(layers, len(some), length, dtype=torch.bool)
        at[:, torch.arange(len(some)), some[:, 2]] = together[some[:, 0]].T
        found = runs.probabilities(some[:, 1], at, restored)
        each[some[:, 0], some[:, 1], some[:, 2]] = found - runs.without[some[:, 1]]
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


@dataclass(frozen=True, eq=False)
class _Case:
    """What was found of one case: the effects (layers, samples) by what is restored and kind of place."""

    found: dict[tuple[str, str], Tensor]
    answer: int
    clean_probability: float


def _case(runs: CorruptedRuns) -> _Case:
    found = {
        (restored, place): effects
        for restored in get_args(Restored)
        for place, effects in case_effects(runs, restored).items()
    }
    return _Case(found, runs.answer, runs.clean_probability)


def _locates(effect: TraceEffect) -> bool:
    return effect.restored == "mlp" and effect.place == "subject-last"


def _summary(network: Network, restored: Restored, layer: int, place: str, cases: list[_Case]) -> TraceEffect:
    by_case = [case.found[restored, place][layer - 1] for case in cases]
    values = by_case[0] if len(by_case) == 1 else torch.stack([one.mean() for one in by_case])
    error = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else None
    layers = window_of(network.blocks.layers) if restored == "mlp" else 1
    answers = " | ".join(dict.fromkeys(network.tokenizer.decode([case.answer]) for case in cases))
    clean = sum(case.clean_probability for case in cases) / len(cases)
    return TraceEffect(layer, place, values.mean().item(), error, len(values), restored, layers, answers, clean)
