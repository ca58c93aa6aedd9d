"""An edit fitted to what it asks for: which weights change, and how, is decided by its method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from service.errors import BadInput
from service.networks.edit_cases import Cases
from service.networks.edit_interpolation import moved
from service.networks.edit_layers import matrix_of, named_layer, parameters_from
from service.networks.edit_settings import refuse_cases, refuse_rank, refuse_settings
from service.networks.edit_training import OnStep, Weights, changed_count, convergence, sound, trained, wide
from service.networks.edits import Delta, Fitting, LowRankChange, base_digest, changed_weight, refuse_other_base
from service.networks.frozen import frozen
from service.networks.loading import Network
from service.networks.rewriting import Moment, rewritten
from service.subjects import Edit, EditMethod

MOVES: Mapping[EditMethod, EditMethod] = {
    "one-layer": "1-li",
    "1-li": "1-li",
    "fine-tuning": "interpolation",
    "interpolation": "interpolation",
}


def fitted(
    network: Network, edit: Edit, cases: Cases, on_step: OnStep = None, whitened_by: Moment | None = None
) -> Fitting:
    """The weights that an edit asks for, found by Adam on the cross-entropy of its cases with the network in evaluation mode.

    `fine-tuning` changes all weights, or those from `layer` on in the order of calls; `one-layer` the weight and bias of
    `layer`; ``low-rank`` adds U V' of that rank to its weight, with U = 0 at first and V from the edit's seed; ``1-li`` and
    `interpolation` tune as one-layer and fine-tuning do and then go to `alpha` of the way; `rewriting` is described there,
    as is what it is `whitened_by`.
    Up to 64 cases are all seen at each step, of more a seeded batch of 64. `on_step` is told steps done and steps in all. The
    network is never changed. An edit that has not converged says so; one that went astray (losses or weights that are no finite
    numbers) changes nothing, and says so.

    Raises BadInput (settings that do not fit the method or the network; cases that ask for nothing, or for a class it does not
    have; cases without originals for `rewriting`; `rome`, which is fitted by other means), UnknownName (layer),
    NetworkMismatch (no head).
    """
    refuse_settings(edit)
    layer = None if edit.layer is None else named_layer(network, edit.layer)
    if edit.rank is not None and layer is not None:
        refuse_rank(network, layer, edit.rank)
    refuse_cases(network, cases)
    with frozen(network.module):
        if edit.method == "rewriting" and layer is not None:
            return rewritten(network, edit, cases, layer, on_step, whitened_by)
        if edit.method == "low-rank" and layer is not None:
            return _low_rank(network, edit, cases, layer, on_step)
        return _tuned(network, edit, cases, layer, on_step)


def interpolated(fitting: Fitting, network: Network, alpha: float) -> Fitting:
    """The same tuned weights at another alpha, without tuning again: a one-layer edit becomes one of ``1-li``, a fine-tuned one
    one of `interpolation`.

    Raises BadInput (alpha outside 0 to 1; an edit of another method, or one that was not just fitted), NetworkMismatch (another
    network).
    """
    method = MOVES.get(fitting.delta.edit.method)
    if method is None or fitting.tuned is None:
        raise BadInput(
            f"an edit by {fitting.delta.edit.method} has no tuned weights to go towards: give one as fitted() returns it, by "
            f"{', '.join(MOVES)}"
        )
    edit = replace(fitting.delta.edit, method=method, alpha=alpha)
    refuse_settings(edit)
    refuse_other_base(network, fitting.delta)
    return moved(network, edit, fitting.delta.base_digest, fitting.tuned, fitting.fit, alpha)


def _tuned(network: Network, edit: Edit, cases: Cases, layer: str | None, on_step: OnStep) -> Fitting:
    own = {name: network.module.get_parameter(name) for name in _names(network, edit, layer)}
    leaves = {name: wide(weight) for name, weight in own.items()}

    def weights() -> Weights:
        return {name: leaf.to(own[name].dtype) for name, leaf in leaves.items()}

    curve = trained(network, list(leaves.values()), weights, cases, edit, on_step)
    ended = {name: value.detach() for name, value in weights().items()}
    tuned, fit = sound(ended, curve, convergence(curve))
    alpha = 1.0 if edit.alpha is None else edit.alpha
    return moved(network, edit, base_digest(network.module), tuned, fit, alpha)


def _names(network: Network, edit: Edit, layer: str | None) -> tuple[str, ...]:
    """The parameters that may change."""
    if layer is None:
        return tuple(name for name, weight in network.module.named_parameters() if weight.is_floating_point())
    if edit.method in {"fine-tuning", "interpolation"}:
        return parameters_from(network, layer)
    return tuple(f"{layer}.{name}" for name, _ in network.module.get_submodule(layer).named_parameters(recurse=False))


def _low_rank(network: Network, edit: Edit, cases: Cases, layer: str, on_step: OnStep) -> Fitting:
    name, change = f"{layer}.weight", _first_change(matrix_of(network, layer), edit.rank or 1, edit.seed)

    def weights() -> Weights:
        return {name: changed_weight(network.module, name, change)}

    curve = trained(network, [change.left, change.right], weights, cases, edit, on_step)
    ended = LowRankChange(change.left.detach(), change.right.detach())
    there, fit = sound({name: changed_weight(network.module, name, ended)}, curve, convergence(curve))
    changes = {one: LowRankChange(ended.left.cpu(), ended.right.cpu()) for one in there}
    fit = replace(fit, changed=changed_count(network, there))
    return Fitting(Delta(edit, base_digest(network.module), changes), fit)


def _first_change(matrix: Tensor, rank: int, seed: int) -> LowRankChange:
    """No change yet. The variance of V is 1 / rank: a step of Adam on U then moves a weight about as far as one on the weight
    itself would, whatever the rank."""
    generator = torch.Generator().manual_seed(seed)
    right = torch.randn(rank, matrix.shape[1], generator=generator) / rank**0.5
    left = torch.zeros(matrix.shape[0], rank)
    return LowRankChange(wide(left.to(matrix.device)), wide(right.to(matrix.device)))
