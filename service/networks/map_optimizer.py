"""The steps by which a map between two networks is trained: Adam, where the states that it reads are a round cloud."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from service.networks.stitch_maps import StitchMap

RATE = 1.0  # of Adam, divided by the width of the first network: a step then moves states alike at every width
NARROWEST = 1e-6  # of the widest direction's variance; narrower ones are taken to be as wide as that


class MapOptimizer:
    """Adam on a map x W + b written as (x - m) P V + c, with m and P of `states` such that (x - m) P has unit second moments: a
    step then goes as far along narrow directions of the cloud as along wide ones, in units of the spread of `targets`. Without
    b, m is 0. An orthogonal map keeps its own coordinates and is put back to the nearest orthogonal one after each step."""

    def __init__(
        self, phi: StitchMap, states: Float[Tensor, "tokens width_a"], targets: Float[Tensor, "tokens width_b"]
    ) -> None:
        if phi.weight is None:
            raise ValueError("a map without a weight has nothing to train")
        self.phi, self._weight_of_phi, self._rate = phi, phi.weight, RATE / states.shape[1]
        centre = states.mean(0) if phi.shift is not None else torch.zeros(states.shape[1])
        self._centre = centre.to(phi.weight)
        self._scaling, back = torch.eye(states.shape[1]).to(phi.weight), torch.eye(states.shape[1]).to(phi.weight)
        if phi.kind != "orthogonal":
            self._scaling, back = (one.to(phi.weight) for one in roundings(states - centre))
            self._rate *= float((targets - targets.mean(0)).square().mean().sqrt())
        self._weight = nn.Parameter(back @ phi.weight.detach())
        shift = phi.shift if phi.shift is not None else torch.zeros_like(phi.weight[0])
        self._shift = nn.Parameter(shift.detach() + self._centre @ phi.weight.detach())
        own = [self._weight] if phi.shift is None else [self._weight, self._shift]
        self._adam = torch.optim.Adam(own, lr=self._rate)

    def step(self, loss: Float[Tensor, ""], rate: float) -> None:
        """One step down the gradient of a loss of the map, at that share of the first rate."""
        self.phi.zero_grad(set_to_none=True)
        loss.backward()
        self._take_gradients()
        group = self._adam.param_groups[0]
        nn.utils.clip_grad_norm_(group["params"], 1.0)
        group["lr"] = self._rate * rate
        self._adam.step()
        self._give_weights()

    @torch.no_grad()
    def _take_gradients(self) -> None:
        gradient = self._weight_of_phi.grad
        if gradient is None:
            return
        if self.phi.shift is not None and self.phi.shift.grad is not None:
            gradient = gradient - torch.outer(self._centre, self.phi.shift.grad)
            self._shift.grad = self.phi.shift.grad.clone()
        self._weight.grad = self._scaling.T @ gradient

    @torch.no_grad()
    def _give_weights(self) -> None:
        self._weight_of_phi.copy_(self._scaling @ self._weight)
        self.phi.project()
        if self.phi.kind == "orthogonal":
            self._weight.copy_(self._weight_of_phi)
        if self.phi.shift is not None:
            self.phi.shift.copy_(self._shift - self._centre @ self._weight_of_phi)


def roundings(points: Float[Tensor, "points width"]) -> tuple[Tensor, Tensor]:
    """(X'X/n)^(-1/2) and its inverse (width, width), in float64: what makes a cloud around 0 round, and what undoes it."""
    known = points.double()
    spread, directions = torch.linalg.eigh(known.T @ known / len(known))
    spread = spread.clamp(min=max(float(spread.max()) * NARROWEST, torch.finfo(torch.float32).tiny)).sqrt()
    return directions / spread @ directions.T, directions * spread @ directions.T
