"""Weights tuned towards what an edit asks for, beside a network that is never touched, and whether they have come to rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from service.edit_results import EditFit
from service.networks.edit_cases import NOT_ASKED, Cases
from service.networks.loading import Network
from service.subjects import Edit

BATCH = 64  # cases a step
SETTLED = 0.01  # nats: whatever the last steps did, the targets are told with 99 %
STILL_FALLING = 0.05  # the share of the whole fall of the loss that its last quarter may have
FEWEST = 4  # points of a curve to judge it by

Curve = tuple[tuple[int, float | None], ...]
OnStep = Callable[[int, int], None] | None
Weights = dict[str, Tensor]


class _WithWeights(nn.Module):
    """A module that computes with other weights than its own."""

    def __init__(self, inner: nn.Module, weights: Weights) -> None:
        super().__init__()
        self.inner = inner
        self.weights = weights

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return functional_call(self.inner, self.weights, args, kwargs)


def with_weights(network: Network, weights: Weights) -> Network:
    """The network as it reads inputs with other weights, by the names of its parameters. Gradients pass to them."""
    return replace(network, module=_WithWeights(network.module, weights))


def wide(weight: Tensor) -> Tensor:
    """A copy to be trained: in float32 where the weight is narrower."""
    found = weight.detach().to(torch.promote_types(weight.dtype, torch.float32), copy=True)
    return found.requires_grad_()


@torch.enable_grad()
def trained(
    network: Network,
    leaves: Sequence[Tensor],
    weights: Callable[[], Weights],
    cases: Cases,
    edit: Edit,
    on_step: OnStep = None,
) -> Curve:
    """Train `leaves`, of which `weights` makes the network's, in place by Adam on the loss of the cases; the loss in nats of
    each step's cases before it, and of all of them after the last.

    The training stops where a loss is no finite number. The network should be `frozen`.
    """
    optimizer, curve = torch.optim.Adam(leaves, lr=edit.learning_rate), []
    for step, rows in zip(range(edit.steps), batches(len(cases), edit.seed), strict=False):
        loss = (cases if rows is None else cases.rows(rows)).loss(with_weights(network, weights()))
        curve.append((step, finite(loss.item())))
        if curve[-1][1] is None:
            return tuple(curve)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if on_step:
            on_step(step + 1, edit.steps)
    return (*curve, (edit.steps, mean_loss(with_weights(network, weights()), cases)))


def batches(count: int, seed: int) -> Iterator[Tensor | None]:
    """The rows of each step's cases, without end; None for all of them where they are few. Of many each comes once before any
    comes again, in a seeded order, and a rest smaller than a batch is left out."""
    generator = torch.Generator().manual_seed(seed)
    while count <= BATCH:
        yield None
    while True:
        order = torch.randperm(count, generator=generator)
        yield from (order[start : start + BATCH] for start in range(0, count - BATCH + 1, BATCH))


@torch.no_grad()
def mean_loss(network: Network, cases: Cases) -> float | None:
    """The mean cross-entropy of all targets in nats, a batch at a time; None where it is no finite number."""
    total, asked = 0.0, 0
    for start in range(0, len(cases), BATCH):
        some = cases.rows(range(start, min(start + BATCH, len(cases))))
        here = int((some.targets != NOT_ASKED).sum())
        total, asked = total + some.loss(network).item() * here, asked + here
    return finite(total / asked)


def sound(weights: Weights, curve: Curve, rest: tuple[bool, str | None]) -> tuple[Weights, EditFit]:
    """The weights that a training ended in with its curve and whether it came to `rest`; no weights at all where they or its
    losses are no finite numbers. What they change is not counted yet."""
    lost = any(loss is None for _, loss in curve)
    if not lost and all(bool(value.isfinite().all()) for value in weights.values()):
        return weights, EditFit(curve, 0, *rest)
    why = rest[1] if lost and rest[1] else "the weights are no finite numbers"
    return {}, EditFit(curve, 0, False, f"{why}: the edit changes nothing")


def changed_count(network: Network, weights: Mapping[str, Tensor]) -> int:
    """How many numbers differ from the network's own."""
    return sum(int((value != network.module.get_parameter(name)).sum()) for name, value in weights.items())


def convergence(curve: Curve, settled: float = SETTLED) -> tuple[bool, str | None]:
    """Whether a loss has come to rest, and why not where it has not. It has where the mean over its last quarter is at most
    `settled`, or is below the first value and at most 5 % of the fall since then came after the quarter before."""
    lost = [step for step, loss in curve if loss is None]
    if lost:
        return False, f"the loss is no finite number after {lost[0]} steps"
    losses = [loss for _, loss in curve if loss is not None]
    if len(losses) < FEWEST:
        return False, f"{len(losses) - 1} steps are too few to judge convergence by"
    quarter = len(losses) // 4
    last = sum(losses[-quarter:]) / quarter
    before = sum(losses[-2 * quarter : -quarter]) / quarter
    if last <= settled:
        return True, None
    if last >= losses[0]:
        return False, f"the loss did not fall: {losses[0]:.3g} at first, {last:.3g} over the last quarter of the steps"
    share = (before - last) / (losses[0] - last)
    if share <= STILL_FALLING:
        return True, None
    return False, f"the loss was still falling: {share:.0%} of its fall came in the last quarter of the steps"


def finite(value: float) -> float | None:
    """The number, None where it is not a finite one."""
    return value if math.isfinite(value) else None
