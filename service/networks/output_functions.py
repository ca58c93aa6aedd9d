"""What a network's answer to one example is, as one number: the outputs that gradients and attributions are taken of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from service.errors import BadInput, NetworkMismatch
from service.networks.blocks import Take

Values = dict[str, Tensor]
Run = Callable[..., Any]
Capturing = Callable[[Take], AbstractContextManager[None]]
Scalar = Float[Tensor, ""]


class OutputFunction(Protocol):
    """A number f of one example and its doubt 1 - p, where p is the probability that f stands for: f = log(p / (1 - p)).

    `run` is the network, called with inputs by name; `inputs` are those of one example, as a batch of one; `targets` are
    what the example says of itself, without a batch. It is traced for many examples at once: no Python branch may depend
    on a tensor's values.
    """

    def __call__(self, run: Run, inputs: Values, targets: Values) -> tuple[Scalar, Scalar]:
        """f and 1 - p of one example."""


class _Reached(Exception):
    """A forward pass has come to the layer that was asked for."""


def margin(logits: Float[Tensor, "*places classes"], true: Int[Tensor, "*places"]) -> Float[Tensor, "*places"]:
    """log(p / (1 - p)) of the true class, in nats: its logit less the log-sum-exp of the others. Zero at p = 1/2.

    Source: Park et al. 2023, https://arxiv.org/abs/2303.14186, section 3.3
    """
    own = torch.arange(logits.shape[-1], device=logits.device) == true[..., None]
    others = logits.masked_fill(own, -torch.inf).logsumexp(-1)
    return logits.masked_fill(~own, 0).sum(-1) - others


def logits_of(output: Any) -> Tensor:
    """The class scores in what a network gives: a tensor, something with `logits`, or the first of several."""
    if isinstance(output, Tensor):
        return output
    logits: Tensor = output.logits if hasattr(output, "logits") else output[0]
    return logits


@dataclass(frozen=True)
class ClassMargin:
    """The margin of the true class, which is the target `labels`, of a network that gives class scores.

    Raises BadInput for a network of one class.
    """

    def __call__(self, run: Run, inputs: Values, targets: Values) -> tuple[Scalar, Scalar]:
        """f and 1 - p of one example."""
        scores = logits_of(run(**inputs))[0].float()
        if scores.shape[-1] < 2:
            raise BadInput(f"a margin needs scores of two classes or more; the network gives {scores.shape[-1]}")
        found = margin(scores, targets["labels"])
        return found, torch.sigmoid(-found)


@dataclass(frozen=True)
class NextTokenMargin:
    """The mean of the true next tokens' margins over a window's predicted tokens; 1 - p is averaged over the same.

    Reads the inputs `input_ids` and `attention_mask` (padded on the right). A window of one token predicts nothing: 0.
    """

    def __call__(self, run: Run, inputs: Values, targets: Values) -> tuple[Scalar, Scalar]:
        """f and 1 - p of one window."""
        ids = inputs["input_ids"][0]
        found = margin(logits_of(run(**inputs))[0, :-1].float(), ids[1:])
        mask = inputs.get("attention_mask")
        there = torch.ones_like(found) if mask is None else mask[0, 1:].to(found.dtype)
        share = there / there.sum().clamp(min=1)
        return (found * share).sum(), (torch.sigmoid(-found) * share).sum()


@dataclass(frozen=True, eq=False)
class ProbeMargin:
    """The margin sign (w . pooled state + b) of a logistic probe at a layer, so that p = 1 / (1 + exp(-f)).

    `capturing` hands a function the states of every layer by depth while a forward pass runs (`Blocks.capturing`), and what
    comes after `layer` is not computed. The target `signs` is +1 where the example has the concept and -1 where not; without it
    all are +1. States are pooled by their mean over places, those that `attention_mask` hides and the first `leading` (a class
    token) left out, or taken at the target `places`. States are (1, width), (1, places, width) or, of a convolution, (1, width,
    rows, columns).

    Raises NetworkMismatch where the layer is not called, or its states are not as wide as the probe.
    """

    capturing: Capturing
    layer: int
    weights: Float[Tensor, " width"]
    intercept: float = 0.0
    leading: int = 0

    def __call__(self, run: Run, inputs: Values, targets: Values) -> tuple[Scalar, Scalar]:
        """f and 1 - p of one example."""
        state = pooled(states_at(self.capturing, self.layer, run, inputs), inputs, targets, self.leading)
        if state.shape != self.weights.shape:
            raise NetworkMismatch(f"layer {self.layer} has width {len(state)}, and the probe is of {len(self.weights)}")
        found = state @ self.weights.to(state) + self.intercept
        if "signs" in targets:
            found = found * targets["signs"].to(found.dtype)
        return found, torch.sigmoid(-found)


def states_at(capturing: Capturing, layer: int, run: Run, inputs: Values) -> Tensor:
    """The states of a layer with the graph they came by; what comes after it is not computed. Raises NetworkMismatch."""
    found: list[Tensor] = []

    def take(depth: int, states: Tensor) -> None:
        if depth == layer:
            found.append(states)
            raise _Reached

    with capturing(take):
        try:
            run(**inputs)
        except _Reached:
            return found[0]
    raise NetworkMismatch(f"layer {layer} is not called in a forward pass")


def pooled(
    states: Float[Tensor, "1 *shape"], inputs: Values, targets: Values, leading: int = 0
) -> Float[Tensor, " width"]:
    """One state of one example: that at the target `places`, or the mean over the places that are no padding and none of the
    `leading` ones."""
    own = states[0].float()
    if own.ndim == 3:
        own = own.flatten(1).T
    if own.ndim == 1:
        return own
    if "places" in targets:
        return own.index_select(0, targets["places"].reshape(1))[0]
    mask = inputs.get("attention_mask")
    if mask is None or mask.shape[-1] != len(own):
        return own[leading:].mean(0)
    there = mask[0, leading:]
    return (own[leading:] * there[:, None]).sum(0) / there.sum()
