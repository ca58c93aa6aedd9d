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
RELEASED_DECAY = 0.5  # of the authors' code, for GPT-2 XL
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
    """Adam's steps and its rate. It stops where the prompts' loss has fallen below `ENOUGH`; as `released` where all of the
    objective has, and after one step less."""

    steps: int
    learning_rate: float
    released: bool = False


@dataclass(frozen=True, eq=False)
class Objective:
    """What a change d of a module's output is to make small, in nats, where `rows` are prompts and at last a neutral sentence:

        mean nats of the targets + 0.0625 KL(p(neutral; d) | p(neutral; 0)) + 0.005 (|d| / length)^2

    where `length` is that of the output before, and p(neutral) what is said after the sentence's last token. As `released`, it
    is what is said after its subject's last token, where d itself is added, and the decay is 0.5 |d| / length^2, which is huge
    where outputs are short and nothing where they are long; squared both it is the same for every network.

    Source: Meng et al. 2022, https://arxiv.org/abs/2202.05262, section 3.1, step 2, with its code, kmeng01/rome
    """

    rows: PromptRows
    length: float
    released: bool = False

    def neutral(self, scores: Float[Tensor, "rows length tokens"]) -> Float[Tensor, " tokens"]:
        """The logarithms of p(neutral)."""
        last = int(self.rows.inputs["attention_mask"][-1].sum()) - 1
        return scores[-1, int(self.rows.places[-1]) if self.released else last].log_softmax(-1)

    def __call__(
        self, scores: Float[Tensor, "rows length tokens"], before: Float[Tensor, " tokens"], change: Tensor
    ) -> Float[Tensor, ""]:
        """Its value where the network says `scores` with the change, and of the neutral sentence `before` without it."""
        told = self.neutral(scores)
        asked = _row_means(_nats(scores, self.rows), self.rows)[:-1].mean()
        length = max(self.length, 1e-12) ** 2
        decay = RELEASED_DECAY * change.norm() / length if self.released else DECAY * change.square().sum() / length
        return asked + NEUTRAL * (told.exp() * (told - before)).sum() + decay


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
    as asked, by Adam from 0 on the `Objective`, |d| being at most 4 times the `length` of the output before."""
    rows = prompt_rows(network, [*prompts, *behind, neutral])
    objective = Objective(rows, length, descent.released)
    outputs = _outputs(module)
    change = torch.zeros(outputs, device=network.device, requires_grad=True)
    adam = torch.optim.Adam([change], lr=descent.learning_rate)
    before: Tensor | None = None
    losses: list[float | None] = []
    kept = change.detach().clone()
    last = descent.steps - descent.released
    for step in range(last + 1):
        with adding(module, change, rows):
            scores = scores_of(network, rows.inputs)
        before = objective.neutral(scores).detach() if before is None else before
        loss = objective(scores, before, change)
        nats = _nats(scores.detach(), rows)[: len(prompts)]
        own = nats.sum().item() / int((rows.targets[: len(prompts)] != NOT_ASKED).sum())
        losses.append(own if math.isfinite(loss.item()) else None)
        if losses[-1] is None:
            return Change(kept, tuple(losses))
        kept = change.detach().clone()
        if (loss.item() if descent.released else own) < ENOUGH or step == last:
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
