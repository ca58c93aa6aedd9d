"""What was found: frozen values, never NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from service.subjects import Positions, Site

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error, in the measure's unit, from `n_used` points after `n_dropped` were left out.

    `value` is None where it is undefined, and then `note` says why.
    """

    value: float | None
    std_error: float | None
    n_used: int
    n_dropped: int = 0
    note: str | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "note", self.note or f"the value is not finite ({self.value})")
            object.__setattr__(self, "value", None)
        if self.value is None or (self.std_error is not None and not math.isfinite(self.std_error)):
            object.__setattr__(self, "std_error", None)
        if self.value is None and not self.note:
            raise ValueError("an undefined estimate needs a note that says why")

    @classmethod
    def undefined(cls, note: str, n_used: int = 0, n_dropped: int = 0) -> Estimate:
        """No value, and why."""
        return cls(None, None, n_used, n_dropped, note)


@dataclass(frozen=True)
class LayerResult:
    """One estimate of one measure at one site. `variant` reads ``procedure/positions`` or ``procedure/positions/detail``,
    for example ``corrected/all``, ``released/all``, ``corrected/not-first/scale-8``, ``corrected/all/gaussian``."""

    site_id: str
    measure: str
    version: int
    variant: str
    estimate: Estimate


@dataclass(frozen=True)
class Null:
    """What a value would be if the pairing meant nothing: mean and standard deviation over random pairings.

    `z` counts standard deviations, positive where the pair is more alike than chance; None where the null does not vary. `p`
    is (1 + pairings at least as alike) / (1 + pairings).
    """

    mean: float
    std: float
    z: float | None
    p: float
    permutations: int


@dataclass(frozen=True)
class PairResult:
    """One estimate of one measure of two sites, and its null. `variant` reads ``positions`` or
    ``positions/without-top-k``, for example ``all``, ``not-first/without-top-1``."""

    site_a: str
    site_b: str
    measure: str
    version: int
    variant: str
    estimate: Estimate
    null: Null | None


@dataclass(frozen=True)
class CurvePoint:
    """Cross-entropy in nats a token of a stitched network after `step` steps: of a ``training`` batch before the step, or of
    the ``held-out`` texts. None where it is no finite number."""

    step: int
    texts: Literal["training", "held-out"]
    loss: float | None

    def __post_init__(self) -> None:
        if self.loss is not None and not math.isfinite(self.loss):
            object.__setattr__(self, "loss", None)


@dataclass(frozen=True)
class StitchResult:
    """What a map between layer `layer_a` of a first network, which gives the bottom, and the block after layer `layer_b` of a
    second one does to the second one's predictions, on held-out `windows` with `tokens` predicted tokens.

    Losses in nats a token, accuracies of the next token as shares; `penalty` is `loss` less `loss_of_b`: 0 where nothing is
    lost, negative where the first network's features help. Standard errors are of paired differences, by window.
    `converged` is None where nothing was trained.
    """

    map: str
    layer_a: int
    layer_b: int
    steps: int
    loss: float | None
    loss_of_b: float | None
    penalty: float | None
    penalty_std_error: float | None
    accuracy: float
    accuracy_of_b: float
    accuracy_std_error: float | None
    converged: bool | None
    tokens: int
    windows: int
    note: str | None
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class LossResult:
    """A network's own cross-entropy on a dataset, in nats per predicted token, over `tokens` predictions."""

    checkpoint_id: str
    dataset: str
    loss: float
    tokens: int


@dataclass(frozen=True)
class NetworkFacts:
    """What is known of a network once it is loaded.

    `family` is the config's model type (``gpt_neox``), `kind` decoder, encoder or vision, `layers` the number of blocks,
    `width` the size of a hidden state (the largest, where layers differ), `attention` the attention implementation,
    `normed_entry` the index of the Hugging Face
    `hidden_states` entry that is taken after the final norm, None where no entry is, `activation` the function between
    the linear layers of a block, as the configuration names it, `sites` the number of places where states are read, None where
    that follows from `layers` and `normed_entry`.
    """

    family: str
    kind: str
    layers: int
    width: int
    parameters: int
    dtype: str
    device: str
    attention: str
    normed_entry: int | None
    seed: int | None = None
    weights_digest: str | None = None
    activation: str | None = None
    sites: int | None = None


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and spectrum of *all* tokens of a site under one position filter, not only of the sample.

    `spectrum` holds the eigenvalues of the centred second moment (divided by `tokens`), largest first; both float64, on
    the CPU.
    """

    tokens: int
    mean: Float[Tensor, " width"]
    spectrum: Float[Tensor, " width"]


@dataclass(frozen=True, eq=False)
class SampledTokens:
    """The tokens of the coordinated sample, one row each, ordered by item and then by place in the text.

    `item_id` is the window's index in its dataset, `char_end` where the token ends in the window's text (characters),
    `position` its index in the window (0 = the first token), `special` whether it is one of the tokenizer's own. Of an image
    each place (patch) is a token: `char_end` says where its centre lies, 0 for one that lies nowhere (a class token, which is
    special), `position` is its index, 0 for a class token and 1 or more for a patch.
    """

    item_id: Int[Tensor, " points"]
    char_end: Int[Tensor, " points"]
    token_id: Int[Tensor, " points"]
    position: Int[Tensor, " points"]
    special: Bool[Tensor, " points"]

    def keep(self, positions: Positions) -> Bool[Tensor, " points"]:
        """Which tokens a position filter keeps."""
        if positions == "not-first":
            return self.position > 0
        if positions == "not-special":
            return ~self.special
        return self.position >= 0


@dataclass(frozen=True, eq=False)
class Summary:
    """Everything that is kept of one site: the sample's states, and the moments of all tokens by position filter.

    `states` are on the CPU, float32 or float16 as the network computed them (bfloat16 is widened). `hidden_state_index` is
    the entry of Hugging Face's `hidden_states` that equals this site, None where there is none. `tokens_seen` tokens ran
    through, of which `non_finite` had a state that is NaN or infinite; those are in neither the sample nor the moments.
    `layer_name` is the module's name in its network where it was noted.
    """

    site: Site
    sample: SampledTokens
    states: Float[Tensor, "points width"]
    moments: Mapping[Positions, Moments]
    hidden_state_index: int | None
    tokens_seen: int
    non_finite: int
    facts: NetworkFacts
    loss: LossResult | None = None
    layer_name: str | None = None


@dataclass(frozen=True)
class TrainingStep:
    """What one logged step of a training says: loss in nats a token, norms of the gradient before clipping and of the
    weights' change, learning rate. `step` counts the optimiser steps made. None where unknown; a loss that is not finite
    is None too, and is a spike."""

    step: int
    loss: float | None
    gradient_norm: float | None = None
    update_norm: float | None = None
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        for name in ("loss", "gradient_norm", "update_norm", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                object.__setattr__(self, name, None)


@dataclass(frozen=True)
class ProbeResult:
    """One estimate taken inside a running training: `measure` of the states at one layer of a fixed probe batch."""

    step: int
    layer: int
    stream: str
    measure: str
    version: int
    variant: str
    estimate: Estimate


@dataclass(frozen=True, eq=False)
class ItemFeatures:
    """What one network says of some items: gradients of an output, projected; the outputs f themselves and their doubts 1 -
    p; and the states of a layer, pooled. One row an item, on the CPU."""

    gradients: Float[Tensor, "items width"]
    outputs: Float[Tensor, " items"]
    doubts: Float[Tensor, " items"]
    states: Float[Tensor, "items hidden"]
