"""What an edit asks for: inputs, and what the network shall say of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from service.networks.loading import Network
from service.networks.output_functions import logits_of
from service.networks.threads import side_by_side

NOT_ASKED = -100  # in the place of a target
BATCH = 128  # cases
PART = 32  # images that one thread reads at a time
VALIDATION_SEED = 0  # draws what chooses settings, whatever draws the rest
Met = Bool[Tensor, " cases"]
Told = Int[Tensor, " compared"]


@dataclass(frozen=True, eq=False)
class Cases:
    """Inputs by name, on the network's device, and a target each: of images the class (cases,), of texts the token that comes
    after each place (cases, length), `NOT_ASKED` where nothing is asked.

    `originals` are the same inputs without what the task changes in them (a style), where it changes something; `subjects` the
    places of the first and the last token of each text's subject, where the task names one.
    """

    inputs: dict[str, Tensor]
    targets: Int[Tensor, "cases *length"]
    originals: dict[str, Tensor] | None = None
    subjects: Int[Tensor, "cases 2"] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, rows: Sequence[int] | Tensor) -> Cases:
        """Some of the cases."""
        chosen = torch.as_tensor(rows if isinstance(rows, Tensor) else [*rows], device=self.targets.device)
        if not len(chosen):
            chosen = chosen.long()
        originals = None if self.originals is None else {name: one[chosen] for name, one in self.originals.items()}
        subjects = None if self.subjects is None else self.subjects[chosen]
        return Cases(
            {name: one[chosen] for name, one in self.inputs.items()}, self.targets[chosen], originals, subjects
        )

    def logits(self, network: Network) -> Float[Tensor, "cases *length classes"]:
        """What the network says of them, in float32."""
        return scores_of(network, self.inputs)

    def loss(self, network: Network) -> Float[Tensor, ""]:
        """The mean cross-entropy of the targets, in nats, with its gradient."""
        return cross_entropy(self.logits(network).flatten(0, -2), self.targets.flatten(), ignore_index=NOT_ASKED)

    @torch.no_grad()
    def met(self, network: Network, batch: int = 256) -> Met:
        """Which cases come out as asked, every place of them; on the CPU."""
        found = []
        for start in range(0, len(self), batch):
            some = self.rows(range(start, min(start + batch, len(self))))
            right = (answers(some.logits(network)) == some.targets) | (some.targets == NOT_ASKED)
            found.append(right.flatten(1).all(1) if right.ndim > 1 else right)
        return torch.cat(found).cpu()


Corrupted = Callable[[str, int], Cases]


@dataclass(frozen=True, eq=False)
class Unrelated:
    """Inputs that an edit is not to disturb, of which the `places` are compared."""

    inputs: dict[str, Tensor] = field(repr=False)
    places: Bool[Tensor, "inputs *length"] = field(repr=False)

    @property
    def groups(self) -> Int[Tensor, " compared"] | None:
        """The text that each place is of; None of images, of which each is compared once."""
        return self.places.nonzero()[:, 0] if self.places.ndim > 1 else None

    @torch.no_grad()
    def told(self, network: Network) -> Told:
        """What a network says at every place, on the CPU."""
        found = []
        for start in range(0, len(self.places), BATCH):
            some = {name: one[start : start + BATCH] for name, one in self.inputs.items()}
            said = answers(scores_of(network, some)).cpu()
            found.append(said[self.places[start : start + BATCH]])
        return torch.cat(found)


@dataclass(frozen=True, eq=False)
class CaseSets:
    """What one draw of a task gives: `exemplars` to edit on, `validation` to choose settings by, `held_out` to judge by, also
    `corrupted` by a family at a severity; `general` are further sets by name that show what else the edit reaches. `unrelated`
    are inputs that it is not to disturb, by which it is judged; `validation_unrelated` are others, to choose settings by."""

    exemplars: Cases
    validation: Cases
    held_out: Cases
    general: Mapping[str, Cases]
    corrupted: Corrupted = field(repr=False)
    unrelated: Unrelated
    validation_unrelated: Unrelated


def answers(scores: Float[Tensor, "cases *length classes"]) -> Int[Tensor, "cases *length"]:
    """The class or token of the highest score, -1 where a score is no number: of those, the largest would be the first."""
    return scores.argmax(-1).masked_fill(scores.isnan().any(-1), -1)


def scores_of(network: Network, inputs: dict[str, Tensor]) -> Float[Tensor, "cases *length classes"]:
    """What a network says of inputs, in float32. Images are read on a CPU in small parts side by side where no gradient is
    asked: threads share one batch of convolutions badly."""
    images = inputs.get("pixel_values")
    if images is None or images.device.type != "cpu" or torch.is_grad_enabled() or len(images) < 2 * PART:
        return logits_of(network.read(inputs)).float()
    gradients = torch.inference_mode if torch.is_inference_mode_enabled() else torch.no_grad

    def said(part: Tensor) -> Tensor:
        with gradients():  # a thread has its own say in that
            return logits_of(network.read({"pixel_values": part})).float()

    return torch.cat(list(side_by_side(said, images.split(PART))))
