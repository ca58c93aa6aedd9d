"""A layer rewritten as a memory of keys and values: modified inputs are to give there what the originals gave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from service.errors import BadInput
from service.networks.blocks import block_input, first_tensor
from service.networks.edit_cases import Cases
from service.networks.edit_layers import in_shape, weight_matrix
from service.networks.edit_training import (
    BATCH,
    Curve,
    OnStep,
    batches,
    changed_count,
    convergence,
    finite,
    mean_loss,
    sound,
    wide,
    with_weights,
)
from service.networks.edits import Delta, Fitting, LowRankChange, base_digest, changed_weight
from service.networks.loading import Network
from service.subjects import Edit

PROJECTED_EVERY = 10  # steps
RIDGE = 0.01  # of the mean second moment of a key's numbers: few originals do not fill the space of keys
RELEASED_RIDGE = 1e-6  # theirs has none, and what no input fills would be taken for free
CHUNK = 16  # cases whose keys are laid out at a time
Moment = Float[Tensor, "inputs inputs"]


def rewritten(
    network: Network, edit: Edit, cases: Cases, layer: str, on_step: OnStep = None, whitened_by: Moment | None = None
) -> Fitting:
    """The change of rank `edit.rank` of a layer's weight W for which its inputs on the modified cases, the keys k*, give its
    outputs on the originals, the values v*: |W k* + b - v*| in the mean over all numbers, by Adam. Every 10 steps and after the
    last, the change is projected on the span of r directions of keys: W_0 + (W - W_0) D'D.

    The rows of D span the top r principal directions of the keys k* as whitened by C = E[kk'], mapped back, C^(-1/2) u: those
    along which the modified cases are most unlike other inputs. C is `whitened_by`, their `usual_moment`, or that of the cases'
    originals, with a ridge of 0.01 of its mean diagonal. The key of a convolution is the whole patch that gives one output,
    so that r is the rank of the kernel's matrix. The variant `released` takes the channels of one place for a key, as the
    authors' code does, and leaves the kernel's places free: of a kernel of 3 x 3 the rank of the change is 9 r. All places of
    an image are keys, also those alike in both; the values are the layer's own, theirs those of the block that it ends.

    The curve is the cross-entropy of the cases in nats, as of other methods, at each projection; whether it has converged is
    judged by the distance that is trained, as it is after each projection.

    Raises BadInput (no originals, or of other shapes; a convolution in groups; a layer that is called several times).
    Source: Santurkar et al. 2021, https://arxiv.org/abs/2112.01008, section 3, with its code, MadryLab/EditingClassifiers; Bau
    et al. 2020, https://arxiv.org/abs/2007.15646, section 3, for the directions.
    """
    if cases.originals is None:
        raise BadInput(
            "rewriting needs what the inputs were before the task changed something in them; got no originals"
        )
    module = network.module.get_submodule(layer)
    refuse_groups(network, layer)
    keys, _ = at_layer(network, layer, cases.inputs)
    usual, values = at_layer(network, layer, cases.originals)
    if keys.shape != usual.shape:
        raise BadInput(
            f"originals give {layer} inputs of shape {tuple(usual.shape)}, modified ones {tuple(keys.shape)}"
        )
    released = edit.variant == "released"
    refuse_directions(network, edit, layer)
    if whitened_by is None:
        whitened_by = second_moment(module, usual, released)
    ridge = RELEASED_RIDGE if released else RIDGE
    directions = key_directions(second_moment(module, keys, released), whitened_by, edit.rank or 1, ridge)
    places = weight_matrix(module).shape[1] // directions.shape[1]
    directions = torch.kron(
        directions, torch.eye(places)
    )  # each at every place of the kernel, of whole patches at the one
    return _Rewriting(network, cases, layer, keys, values, directions.to(keys.device)).fitted(edit, on_step)


def usual_moment(network: Network, layer: str, inputs: Iterable[dict[str, Tensor]], released: bool = False) -> Moment:
    """The second moment of a layer's keys over other inputs, given in batches. Raises BadInput as `rewritten` does, and where
    there are none."""
    module = network.module.get_submodule(layer)
    total, count = torch.zeros(1, dtype=torch.float64), 0
    for some in inputs:
        given, _ = at_layer(network, layer, some)
        total, count = total + len(given) * second_moment(module, given, released), count + len(given)
    if not count:
        raise BadInput("rewriting needs inputs by which its keys are whitened: the dataset has none")
    return total / count


def refuse_directions(network: Network, edit: Edit, layer: str) -> None:
    """Raises BadInput where keys have fewer numbers than the edit has directions."""
    most = key_size(network.module.get_submodule(layer), edit.variant == "released")
    if (edit.rank or 1) > most:
        raise BadInput(f"rewriting {layer} as released has rank 1 to {most}, its channels; got {edit.rank}")


def key_size(module: nn.Module, released: bool = False) -> int:
    """How many numbers a key of a layer has."""
    return module.in_channels if released and isinstance(module, nn.Conv2d) else weight_matrix(module).shape[1]


def groups_of(network: Network, layer: str) -> int:
    """In how many groups a layer's outputs are computed: of several, each from another part of the key."""
    module = network.module.get_submodule(layer)
    return module.groups if isinstance(module, nn.Conv2d) else 1


def refuse_groups(network: Network, layer: str) -> None:
    """Raises BadInput for a convolution in groups."""
    groups = groups_of(network, layer)
    if groups > 1:
        raise BadInput(f"{layer} is a convolution in {groups} groups, which cannot be rewritten: give another layer")


@dataclass(frozen=True, eq=False)
class _Rewriting:
    """A layer with its keys (cases, ...) and values (cases, ...), and the directions of its change."""

    network: Network
    cases: Cases
    layer: str
    keys: Tensor
    values: Tensor
    directions: Float[Tensor, "rank inputs"]

    @property
    def module(self) -> nn.Module:
        return self.network.module.get_submodule(self.layer)

    @torch.enable_grad()
    def fitted(self, edit: Edit, on_step: OnStep) -> Fitting:
        leaf = wide(self.module.get_parameter("weight"))
        optimizer = torch.optim.Adam([leaf], lr=edit.learning_rate)
        curve: dict[int, float | None] = {}
        distances: list[tuple[int, float | None]] = []
        for step, rows in zip(range(edit.steps), batches(len(self.cases), edit.seed), strict=False):
            if step % PROJECTED_EVERY == 0:
                curve[step] = self.projected(leaf)
            loss = self.distance(leaf, slice(None) if rows is None else rows)
            if step % PROJECTED_EVERY == 0 or not loss.isfinite():
                distances.append((step, finite(loss.item())))
            if not loss.isfinite():
                break
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if on_step:
                on_step(step + 1, edit.steps)
        curve[edit.steps] = self.projected(leaf)
        with torch.no_grad():
            distances.append((edit.steps, finite(self.distance(leaf, slice(None)).item())))
        return self.ended(edit, leaf, tuple(curve.items()), convergence(tuple(distances), settled=0.0))

    def ended(self, edit: Edit, weight: Tensor, curve: Curve, rest: tuple[bool, str | None]) -> Fitting:
        name, change = f"{self.layer}.weight", self.change(weight)
        there, fit = sound({name: changed_weight(self.network.module, name, change)}, curve, rest)
        changes = {one: LowRankChange(change.left.cpu(), change.right.cpu()) for one in there}
        fit = replace(fit, changed=changed_count(self.network, there))
        return Fitting(Delta(edit, base_digest(self.network.module), changes), fit)

    def distance(self, weight: Tensor, rows: Tensor | slice) -> Float[Tensor, ""]:
        """The mean distance of what the keys give from their values."""
        gave = _given(self.module, weight, self.keys[rows].to(weight.dtype))
        return (gave - self.values[rows].to(weight.dtype)).abs().mean()

    def change(self, weight: Tensor) -> LowRankChange:
        """How a weight differs from the module's own, along the directions alone."""
        directions = self.directions.to(weight.dtype)
        moved = weight_matrix(self.module, weight.detach()) - weight_matrix(self.module).detach().to(weight.dtype)
        return LowRankChange(moved @ directions.T, directions)

    @torch.no_grad()
    def projected(self, weight: Tensor) -> float | None:
        """Project a weight in place; the cross-entropy of the cases then."""
        change, own = self.change(weight), self.module.get_parameter("weight")
        weight.copy_(in_shape(self.module, weight_matrix(self.module).to(weight.dtype) + change.left @ change.right))
        return mean_loss(
            with_weights(self.network, {f"{self.layer}.weight": weight.detach().to(own.dtype)}), self.cases
        )


def _given(module: nn.Module, weight: Tensor, keys: Tensor, bias: Tensor | None = None) -> Tensor:
    """What a module gives with another weight, and its own bias where none is given."""
    held: Any = module
    own = held.bias if bias is None else bias
    weights = {"weight": weight} if held.bias is None else {"weight": weight, "bias": own.to(weight.dtype)}
    return functional_call(module, weights, (keys,))


@torch.no_grad()
def at_layer(network: Network, layer: str, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What a module is given and what it gives, case by case. Raises BadInput where it is not called once."""
    given: list[Tensor] = []
    gave: list[Tensor] = []

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        given.append(block_input(args, kwargs))
        gave.append(first_tensor(output))

    hook = network.module.get_submodule(layer).register_forward_hook(note, with_kwargs=True)
    starts = range(0, len(next(iter(inputs.values()))), BATCH)
    try:
        for start in starts:
            network.read({name: value[start : start + BATCH] for name, value in inputs.items()})
    finally:
        hook.remove()
    if len(given) != len(starts):
        raise BadInput(
            f"{layer} is called {len(given) // len(starts)} times in a pass: one that is called once is rewritten"
        )
    return torch.cat(given), torch.cat(gave)


def second_moment(module: nn.Module, inputs: Tensor, released: bool = False) -> Moment:
    """C = E[kk'] over the keys in a layer's inputs, in float64 on the CPU. Raises BadInput where it is not finite."""
    size = key_size(module, released)
    total, count = torch.zeros(size, size, dtype=torch.float64), 0
    for some in inputs.split(CHUNK):
        keys = keys_of(module, some, released).double()
        total, count = total + (keys.T @ keys).cpu(), count + len(keys)
    if not bool(total.isfinite().all()):
        raise BadInput("the inputs of the layer are no finite numbers: the network cannot be rewritten there")
    return total / count


@torch.no_grad()
def keys_of(module: nn.Module, inputs: Tensor, released: bool = False) -> Float[Tensor, "keys inputs"]:
    """What each output of a layer is computed from: the rows that its weight matrix takes to outputs; as `released` the
    channels of each place of its inputs."""
    if not isinstance(module, nn.Conv2d):
        return inputs.flatten(0, -2)
    if released:
        return inputs.flatten(2).transpose(1, 2).flatten(0, 1)
    size = weight_matrix(module).shape[1]
    picked = torch.eye(size, dtype=inputs.dtype, device=inputs.device).reshape(size, *module.weight.shape[1:])
    laid_out = _given(module, picked, inputs, bias=picked.new_zeros(size))
    return laid_out.flatten(2).transpose(1, 2).flatten(0, 1)


def key_directions(keys: Moment, usual: Moment, rank: int, ridge: float = RIDGE) -> Float[Tensor, "rank inputs"]:
    """Orthonormal rows that span C^(-1/2) u, u the top principal directions of C^(-1/2) k*, from the second moments of the keys
    k* and of the usual ones, C: the v of largest v'E[k*k*']v / v'Cv."""
    size = len(usual)
    spread = float(usual.diagonal().mean()) or 1.0
    whitening = usual + ridge * spread * torch.eye(size, dtype=usual.dtype)
    _, vectors = scipy.linalg.eigh(keys.numpy(), whitening.numpy(), subset_by_index=[size - rank, size - 1])
    orthonormal, _ = torch.linalg.qr(torch.from_numpy(vectors))
    return orthonormal.T.contiguous().float()
