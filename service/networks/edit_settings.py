"""What an edit may be asked for: settings that fit its method and its layer, and cases that the network can be asked."""

from __future__ import annotations

import torch

from service.errors import BadInput, NetworkMismatch
from service.networks.edit_cases import NOT_ASKED, Cases
from service.networks.edit_layers import matrix_of
from service.networks.loading import Network
from service.subjects import Edit

LAYERED = frozenset({"one-layer", "low-rank", "1-li", "rewriting"})
RANKED = frozenset({"low-rank", "rewriting"})
MOVING = frozenset({"1-li", "interpolation"})
RELEASED = frozenset({"rome", "rewriting"})  # methods with a variant as their authors' code has it
HIGHEST_RATE = 1e30  # above it a step of Adam is no float32


def refuse_settings(edit: Edit) -> None:
    """Raises BadInput for settings that the edit's method lacks, does not have, or cannot work with."""
    if edit.method == "rome":
        raise BadInput("rome needs the second moments of its layer's keys, and is fitted by rome(): give them there")
    _refuse_setting(edit, "layer", edit.method in LAYERED, edit.method in {"fine-tuning", "interpolation"})
    _refuse_setting(edit, "rank", edit.method in RANKED)
    _refuse_setting(edit, "alpha", edit.method in MOVING)
    if edit.alpha is not None and not 0 <= edit.alpha <= 1:
        raise BadInput(f"alpha is 0 (the weights before) to 1 (the tuned ones); got {edit.alpha:g}")
    if edit.variant == "released" and edit.method not in RELEASED:
        raise BadInput(f"an edit by {edit.method} has no variant as released; {', '.join(sorted(RELEASED))} have")
    if edit.steps < 1:
        raise BadInput(f"an edit takes 1 step or more; got {edit.steps}")
    if not 0 < edit.learning_rate <= HIGHEST_RATE:
        raise BadInput(f"a learning rate is a number above 0 and at most {HIGHEST_RATE:g}; got {edit.learning_rate:g}")


def refuse_rank(network: Network, layer: str, rank: int) -> None:
    """Raises BadInput where a weight matrix has no changes of that rank."""
    outputs, inputs = matrix_of(network, layer).shape
    if not 1 <= rank <= min(outputs, inputs):
        raise BadInput(
            f"a change of the weight of {layer}, {outputs} x {inputs}, has rank 1 to {min(outputs, inputs)}; got {rank}"
        )


@torch.no_grad()
def refuse_cases(network: Network, cases: Cases) -> None:
    """Raises BadInput where there are no cases, one asks for nothing, or a target is none of the network's; NetworkMismatch for
    a network without a head."""
    if not network.predicts:
        raise NetworkMismatch(
            f"{network.checkpoint.label} has no head that tells classes or tokens: it cannot be edited"
        )
    if not len(cases):
        raise BadInput("an edit needs one example or more to be fitted to; got none")
    asked = cases.targets != NOT_ASKED
    silent = (~asked.reshape(len(cases), -1).any(1)).nonzero().flatten().tolist()
    if silent:
        raise BadInput(f"{len(silent)} of {len(cases)} cases ask for nothing, the first is case {silent[0]}")
    scores = cases.rows([0]).logits(network)
    if scores.shape[:-1] != cases.targets[:1].shape:
        raise BadInput(
            f"targets of shape {tuple(cases.targets.shape)} were given, and the network tells of one case "
            f"{tuple(scores.shape[1:-1]) or 'one'}: give one target each"
        )
    wrong = cases.targets[asked & ((cases.targets < 0) | (cases.targets >= scores.shape[-1]))]
    if len(wrong):
        raise BadInput(
            f"{network.checkpoint.label} tells {scores.shape[-1]} classes or tokens apart, 0 to {scores.shape[-1] - 1}; "
            f"the target {int(wrong[0])} is none of them"
        )


def _refuse_setting(edit: Edit, name: str, needed: bool, allowed: bool = False) -> None:
    given = getattr(edit, name) is not None
    if needed and not given:
        raise BadInput(f"an edit by {edit.method} needs a value of {name}; got none")
    if given and not needed and not allowed:
        raise BadInput(f"an edit by {edit.method} has no {name}; got {getattr(edit, name)!r}: leave it out")
