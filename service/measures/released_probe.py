"""The study's own probe, as released: stochastic gradient descent that stops long before the optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

RATE, BATCH, EPOCHS = 0.01, 1024, 1000
Scaling = Literal["none", "page"]


@dataclass(frozen=True, eq=False)
class ReleasedProbe:
    """A linear layer. With `scaling` ``page`` every set of points that it is given is standardised by one mean and one
    deviation of its own, over all its numbers: train and test separately, as released."""

    weights: Float[Tensor, "classes width"]
    intercepts: Float[Tensor, " classes"]
    scaling: Scaling

    def predict(self, points: Float[Tensor, "points width"]) -> Int[Tensor, " points"]:
        """The class of each raw point."""
        return (_scaled(points, self.scaling) @ self.weights.T + self.intercepts).argmax(1)


def _scaled(points: Float[Tensor, "points width"], scaling: Scaling) -> Float[Tensor, "points width"]:
    return points if scaling == "none" else (points - points.mean()) / points.std()


def released_probe(
    points: Float[Tensor, "points width"],
    labels: Int[Tensor, " points"],
    classes: int,
    seed: int = 0,
    scaling: Scaling = "none",
    epochs: int = EPOCHS,
) -> ReleasedProbe:
    """The linear probe that plain SGD reaches: rate 0.01, batches of 1,024, 1,000 epochs, weights from torch's own start.

    Source: SproutNan/LLM_layerclassifier, https://github.com/SproutNan/LLM_layerclassifier
    """
    inputs, width = _scaled(points, scaling), points.shape[1]
    generator = torch.Generator().manual_seed(seed)
    bound = width**-0.5
    weights = (torch.rand(width, classes, generator=generator) * 2 - 1).mul_(bound).to(points)
    intercepts = (torch.rand(classes, generator=generator) * 2 - 1).mul_(bound).to(points)
    wanted = torch.nn.functional.one_hot(labels, classes).to(points)
    for _ in range(epochs):
        order = torch.randperm(len(inputs), generator=generator).to(points.device)
        for batch in order.split(BATCH):
            chosen = inputs.index_select(0, batch)
            residual = torch.addmm(intercepts, chosen, weights).softmax(1).sub_(wanted.index_select(0, batch))
            step = RATE / len(batch)
            weights.addmm_(chosen.T, residual, alpha=-step)
            intercepts.sub_(residual.sum(0), alpha=step)
    return ReleasedProbe(weights.T.contiguous(), intercepts, scaling)
