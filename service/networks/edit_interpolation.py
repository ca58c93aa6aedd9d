"""Between the weights before an edit and those that were tuned: theta_alpha = theta_0 + alpha (theta_1 - theta_0)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from service.edit_results import EditFit
from service.networks.edit_training import changed_count
from service.networks.edits import Change, Delta, Fitting, FullChange
from service.networks.loading import Network
from service.networks.module_digest import same_bits
from service.subjects import Edit


def between(before: Tensor, tuned: Tensor, alpha: float) -> Tensor:
    """The weights at `alpha`: those before bit for bit at 0, the tuned ones bit for bit at 1. In float32 meanwhile, and then in
    the number format of those before.

    Source: Brown et al. 2023, https://arxiv.org/abs/2303.00046, 1-LI; Wortsman et al. 2022, WiSE-FT, for all weights.
    """
    if alpha in {0, 1}:
        return tuned if alpha else before
    wide = torch.promote_types(before.dtype, torch.float32)
    return torch.lerp(before.to(wide), tuned.to(wide), alpha).to(before.dtype)


def moved(
    network: Network, edit: Edit, base: str, tuned: Mapping[str, Tensor], fit: EditFit, alpha: float = 1.0
) -> Fitting:
    """The edit that takes a network, whose digest is `base`, as far as `alpha` towards the tuned weights. What stays as it is,
    bit for bit, is no part of it."""
    there: dict[str, Tensor] = {}
    for name, value in tuned.items():
        before = network.module.get_parameter(name).detach()
        now = between(before, value.to(before), alpha)
        if not same_bits(before, now):
            there[name] = now
    changes: dict[str, Change] = {name: FullChange(value.cpu()) for name, value in there.items()}
    return Fitting(Delta(edit, base, changes), replace(fit, changed=changed_count(network, there)), tuned)
