"""ROME: a decoder is told something new of a subject by one rank-one change of one layer's weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from service.edit_results import EditFit
from service.errors import BadInput
from service.networks.edit_cases import NOT_ASKED, Cases
from service.networks.edit_layers import matrix_of, named_layer
from service.networks.edit_settings import HIGHEST_RATE
from service.networks.edit_training import convergence, mean_loss
from service.networks.edits import Delta, Fitting, LowRankChange, applied, base_digest
from service.networks.frozen import frozen
from service.networks.key_moments import KeyMoments, key_moments, layer_input
from service.networks.loading import Network
from service.networks.rome_value import ENOUGH, Descent, fitted_change
from service.networks.subject_prompts import (
    SubjectPrompt,
    neutral_prompt,
    prompt_rows,
    random_prefixes,
    subject_prompts,
    subject_text,
    with_prefixes,
)
from service.subjects import Edit

__all__ = ["KeyMoments", "key_moments", "rank_one_update", "rome", "rome_rank"]

RIDGE = 1e-4  # of the mean of C's diagonal
ASKER = "ROME"


def rank_one_update(
    weight: Float[Tensor, "outputs inputs"],
    key: Float[Tensor, " inputs"],
    value: Float[Tensor, " outputs"],
    moments: Float[Tensor, "inputs inputs"],
    given: Float[Tensor, " inputs"] | None = None,
) -> tuple[Float[Tensor, "outputs 1"], Float[Tensor, "1 inputs"]]:
    """The factors, in float64, of the change that gives `value` for `key` and moves all that C weighs least:

        W + (v - W k) (C^-1 k)' / (k' C^-1 k)

    A key q with q' C^-1 k = 0 is left as it is. In C's place stands C + r I, r being 1e-4 of the mean of C's diagonal, so that
    directions in which no text was seen to lie are not taken for free. Where another key g is `given`, that one gets the value,
    by a change that acts in the same direction: W + (v - W g) (C^-1 k)' / (g' C^-1 k).

    Raises BadInput for a key that is 0, where nothing can be written, or no finite number.

    Source: Meng et al. 2022, https://arxiv.org/abs/2202.05262, equation 2
    """
    given = key if given is None else given
    weight, key, value, moments, given = (one.double() for one in (weight, key, value, moments, given))
    ridge = RIDGE * moments.diagonal().mean().item() or 1.0
    direction = torch.linalg.solve(moments + ridge * torch.eye(len(key), dtype=torch.float64), key)
    direction = direction / direction.norm()
    along = direction @ given
    if not along.isfinite() or along == 0 or direction @ key <= 0:
        raise BadInput(
            "ROME needs a layer that is given finite numbers, not all 0, at the subject's last token: give another"
        )
    return ((value - weight @ given) / along)[:, None], direction[None]


def rome_rank(network: Network, cases: Cases) -> int:
    """The rank of ROME's change for these cases: the number of their subjects. Raises BadInput as `rome` does."""
    return len(_by_subject(network, subject_prompts(network, cases, ASKER)))


def rome(
    network: Network,
    edit: Edit,
    cases: Cases,
    moments: KeyMoments,
    on_step: Callable[[int, int], None] | None = None,
) -> Fitting:
    """The change of one layer's weight that makes the cases come out as asked, by subject: k is the mean input of the layer at
    the subject's last token over its prompts, each as it is and behind ten random beginnings that the network says itself; v is
    the mean output there and what `fitted_change` adds to it. Cases of one subject share one k and v; subjects are taken one
    after another, each in the network as changed so far, so the rank of the change is their number. The variant
    `released` gives v to the key of the first prompt as it is, and measures lengths by the output there.

    The curve is the loss of the cases as they are, of every subject at its own steps (the mean over what is asked), and at last
    that of the network with the changed weight. A change that is no finite number is left out whole.
    `on_step` is told steps done and in all. Raises BadInput (no decoder, no subjects, no layer or another than that of the
    moments, a rank below the number of subjects, other settings that do not fit), UnknownName, NetworkMismatch.
    """
    prompts = subject_prompts(network, cases, ASKER)
    _refuse_settings(edit)
    layer = _layer(network, edit, moments)
    groups = _by_subject(network, prompts)
    if edit.rank is not None and edit.rank < len(groups):
        raise BadInput(
            f"ROME's change has rank 1 a subject: {len(groups)} subjects need that rank, {edit.rank} was given"
        )
    with frozen(network.module):
        insertion = _Insertion(network, edit, layer, moments, len(groups), on_step)
        for own in groups:
            if not insertion.astray:
                insertion.insert(own)
        return insertion.fitting(cases)


class _Insertion:
    """The changes of one layer so far, subject after subject."""

    def __init__(
        self,
        network: Network,
        edit: Edit,
        layer: str,
        moments: KeyMoments,
        subjects: int,
        on_step: Callable[[int, int], None] | None,
    ) -> None:
        self.network, self.edit, self.layer, self.moments = network, edit, layer, moments
        self.module: Any = network.module.get_submodule(layer)
        self.digest = base_digest(network.module)
        self.prefixes = random_prefixes(network, edit.seed)
        self.parts: list[tuple[Tensor, Tensor]] = []
        self.curves: list[tuple[int, tuple[float | None, ...]]] = []
        self.steps, self.all_steps, self.on_step = 0, subjects * edit.steps, on_step

    @property
    def released(self) -> bool:
        """Whether it is done as the authors' code does it."""
        return self.edit.variant == "released"

    @property
    def astray(self) -> bool:
        """Whether some loss was no finite number."""
        return any(loss is None for _, losses in self.curves for loss in losses)

    def delta(self) -> Delta:
        """What there is so far; nothing where it went astray."""
        changes = {}
        if self.parts and not self.astray:
            left = torch.cat([one for one, _ in self.parts], dim=1)
            right = torch.cat([other for _, other in self.parts])
            changes[f"{self.layer}.weight"] = LowRankChange(left.float(), right.float())
        return Delta(self.edit, self.digest, changes)

    def insert(self, prompts: Sequence[SubjectPrompt]) -> None:
        """Add the change of one subject."""
        behind = [one for prompt in prompts for one in with_prefixes(self.network, prompt, self.prefixes)[1:]]
        neutral = neutral_prompt(self.network, prompts[0])
        with applied(self.network, self.delta(), checked=True):
            key = self._mean_key([*prompts, *behind])
            given = self._mean_key(prompts[:1]) if self.released else key
            weight = matrix_of(self.network, self.layer).double().cpu()
            bias = 0.0 if getattr(self.module, "bias", None) is None else self.module.bias.detach().double().cpu()
            length = (weight @ given + bias).norm().item()
            descent = Descent(self.edit.steps, self.edit.learning_rate, self.released)
            change = fitted_change(self.network, self.module, prompts, behind, neutral, length, descent, self._count)
        added = change.added.double().cpu()
        self.parts.append(rank_one_update(weight, key, weight @ given + added, self.moments.moments, given))
        self.curves.append((sum(int((prompt.targets != NOT_ASKED).sum()) for prompt in prompts), change.losses))

    def fitting(self, cases: Cases) -> Fitting:
        """The edit as it is now, with its curve; without any change where that would be no finite number."""
        delta, curve = self.delta(), _mean_curve(self.curves)
        with applied(self.network, delta, checked=True):
            after = mean_loss(self.network, cases)
        converged, note = _converged(curve)
        if after is None and not self.astray:
            delta, converged = replace(delta, changes={}), False
            note = "the changed weight gives no finite loss: the weights are left as they were"
        told = (*curve[:-1], None if self.astray else after)
        changed = self.module.weight.numel() if delta.changes else 0
        return Fitting(delta, EditFit(tuple(enumerate(told)), changed, converged, note))

    def _mean_key(self, prompts: Sequence[SubjectPrompt]) -> Float[Tensor, " inputs"]:
        rows = prompt_rows(self.network, prompts)
        with torch.no_grad():
            keys = layer_input(self.network, self.module, self.layer, rows.inputs)
        return keys[torch.arange(len(keys)), rows.places].double().mean(0).cpu()

    def _count(self) -> None:
        self.steps += 1
        if self.on_step:
            self.on_step(self.steps, self.all_steps)


def _refuse_settings(edit: Edit) -> None:
    if edit.alpha is not None:
        raise BadInput(f"{ASKER} has no alpha; got {edit.alpha:g}: leave it out")
    if edit.steps < 1 or not 0 < edit.learning_rate <= HIGHEST_RATE:
        given = f"{edit.steps} steps at {edit.learning_rate:g}"
        raise BadInput(
            f"{ASKER} takes 1 step or more at a learning rate above 0 and at most {HIGHEST_RATE:g}; got {given}"
        )


def _layer(network: Network, edit: Edit, moments: KeyMoments) -> str:
    if edit.layer is None:
        raise BadInput("ROME changes one layer: give the name or the depth of one, such as the causal trace finds")
    layer = named_layer(network, edit.layer)
    inputs = matrix_of(network, layer).shape[1]
    if moments.layer != layer or len(moments.moments) != inputs:
        raise BadInput(f"ROME of {layer} needs the moments of its {inputs} inputs: those of {moments.layer} were given")
    return layer


def _by_subject(network: Network, prompts: Sequence[SubjectPrompt]) -> list[list[SubjectPrompt]]:
    """The prompts of each subject, in the order of their first ones; a subject may be split into other tokens where it starts a
    text."""
    groups: dict[str, list[SubjectPrompt]] = {}
    for prompt in prompts:
        groups.setdefault(subject_text(network, prompt), []).append(prompt)
    return list(groups.values())


def _mean_curve(curves: Sequence[tuple[int, tuple[float | None, ...]]]) -> list[float | None]:
    """The mean of the subjects' losses by how much is asked of each; one that is done stays where it ended. It ends with the
    first that is no finite number."""
    asked = sum(weight for weight, _ in curves)
    found: list[float | None] = []
    for step in range(max(len(losses) for _, losses in curves)):
        at = [losses[min(step, len(losses) - 1)] for _, losses in curves]
        finite = [weight * loss for (weight, _), loss in zip(curves, at, strict=True) if loss is not None]
        found.append(sum(finite) / asked if len(finite) == len(at) else None)
        if found[-1] is None:
            break
    return found


def _converged(curve: Sequence[float | None]) -> tuple[bool, str | None]:
    """Whether the descent has come to rest, and why not where it has not. One that stopped because enough was reached has."""
    if curve[-1] is not None and curve[-1] < ENOUGH:
        return True, None
    return convergence(tuple(enumerate(curve)))
