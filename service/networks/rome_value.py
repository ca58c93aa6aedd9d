"""What a layer should give at a subject's last token so that a decoder says what is asked: found by gradient descent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from service.networks.edit_cases import NOT_ASKED, scores_of
from service.networks.loading import Network
from service.networks.subject_prompts import PromptRows, SubjectPrompt, prompt_rows

NEUTRAL = 0.0625  # weight of the divergence on the neutral sentence
DECAY = 0.005  # weight of the squared length, relative to the output's: at the clamp 0.08 nats
CLAMP = 4.0  # longest change, relative to the output's length
ENOUGH = 0.05  # nats a token: the target has 95 %


@dataclass(frozen=True, eq=False)
class Change:
    """What is added to the layer's output, and the prompts' loss in nats a token as they are, before each step and after the
    last; None where it is no finite number, and then the change is that of the step before."""

    added: Float[Tensor, " outputs"]
    losses: tuple[float | None, ...]


@dataclass(frozen=True)
class Descent:
    """Adam's steps and its rate. It stops where the prompts' loss has fallen below `ENOUGH`."""

    steps: int
    learning_rate: float


@torch.enable_grad()
def fitted_change(
    network: Network,
    module: nn.Module,
    prompts: Sequence[SubjectPrompt],
    behind: Sequence[SubjectPrompt],
    neutral: SubjectPrompt,
    length: float,
    descent: Descent,
    on_step: Callable[[], None] = lambda: None,
) -> Change:
    """The change d of a module's output at the subject's last token that makes `prompts` and the same `behind` other texts end
    as asked, by Adam from 0 on

        mean nats of the targets + 0.0625 KL(p(neutral; d) | p(neutral; 0)) + 0.005 (|d| / length)^2,  |d| at most 4 length

    where `length` is that of the output before. The authors' code divides |d| once by length^2, which is huge where outputs are
    short and nothing where they are long; squared both it is the same for every network.

    Source: Meng et al. 2022, https://arxiv.org/abs/2202.05262, section 3.1, step 2
    """
    rows = prompt_rows(network, [*prompts, *behind, neutral])
    outputs = _outputs(module)
    change = torch.zeros(outputs, device=network.device, requires_grad=True)
    adam = torch.optim.Adam([change], lr=descent.learning_rate)
    before: Tensor | None = None
    losses: list[float | None] = []
    kept = change.detach().clone()
    for step in range(descent.steps + 1):
        with adding(module, change, rows):
            scores = scores_of(network, rows.inputs)
        told = scores[-1, len(neutral) - 1].log_softmax(-1)
        before = told.detach() if before is None else before
        nats = _nats(scores, rows)
        loss = _row_means(nats, rows)[:-1].mean() + NEUTRAL * (told.exp() * (told - before)).sum()
        loss = loss + DECAY * change.square().sum() / max(length, 1e-12) ** 2
        own = nats[: len(prompts)].sum().item() / int((rows.targets[: len(prompts)] != NOT_ASKED).sum())
        losses.append(own if math.isfinite(loss.item()) else None)
        if losses[-1] is None:
            return Change(kept, tuple(losses))
        kept = change.detach().clone()
        if own < ENOUGH or step == descent.steps:
            break
        (change.grad,) = torch.autograd.grad(loss, change)
        adam.step()
        with torch.no_grad():
            change.mul_((CLAMP * length / change.norm().clamp(min=1e-12)).clamp(max=1))
        on_step()
    return Change(kept, tuple(losses))


@contextmanager
def adding(module: nn.Module, change: Float[Tensor, " outputs"], rows: PromptRows) -> Iterator[None]:
    """Within the block, the module's output has `change` added at each row's place. The hook is gone afterwards."""

    def after(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        each = torch.arange(len(output), device=output.device)
        added = change.to(output.dtype).expand(len(output), -1)
        return output.index_put((each, rows.places), added, accumulate=True)

    hook = module.register_forward_hook(after)
    try:
        yield
    finally:
        hook.remove()


def _nats(scores: Float[Tensor, "rows length tokens"], rows: PromptRows) -> Float[Tensor, "rows length"]:
    """What each place's target costs; 0 where nothing is asked."""
    flat = cross_entropy(scores.flatten(0, 1), rows.targets.flatten(), ignore_index=NOT_ASKED, reduction="none")
    return flat.view(rows.targets.shape)


def _row_means(nats: Float[Tensor, "rows length"], rows: PromptRows) -> Float[Tensor, " rows"]:
    return nats.sum(1) / (rows.targets != NOT_ASKED).sum(1).clamp(min=1)


def _outputs(module: Any) -> int:
    """How many numbers a token's output has, of a linear layer or transformers' Conv1D."""
    return int(module.nf if hasattr(module, "nf") else module.out_features)
