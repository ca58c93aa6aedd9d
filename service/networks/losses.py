"""A network's own cross-entropy, in nats per predicted token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from service.networks.coordinated_sample import mixed
from service.networks.token_windows import TokenWindow
from service.results import LossResult

MASKED_SHARE = 0.15
MASKED_TOKENS = 16_384  # tokens of text that the masked loss is taken over, at most


class Loss:
    """A running sum of cross-entropy, kept where the logits are.

    Log-probabilities are written to one block of memory again and again: to get a new one for every window takes longer
    than to fill it.
    """

    def __init__(self) -> None:
        self.nats: Tensor | float = 0.0
        self.tokens = 0
        self._block: Tensor | None = None

    def add(self, logits: Float[Tensor, "tokens vocabulary"], targets: Int[Tensor, " tokens"]) -> None:
        """Take in the predictions of some tokens."""
        logits = logits.float()
        if self._block is None or len(self._block) < len(logits):
            self._block = torch.empty_like(logits)
        logs = torch.log_softmax(logits, dim=-1, out=self._block[: len(logits)])
        self.nats = self.nats - logs.gather(1, targets[:, None]).sum(dtype=torch.float64)
        self.tokens += len(targets)

    def result(self, checkpoint_id: str, dataset: str) -> LossResult | None:
        """Nats per token; None where nothing was predicted, or the network's predictions are no numbers."""
        mean = float(self.nats) / self.tokens if self.tokens else math.nan
        return LossResult(checkpoint_id, dataset, mean, self.tokens) if math.isfinite(mean) else None


def add_next_tokens(
    loss: Loss,
    logits: Float[Tensor, "windows length vocabulary"],
    token_ids: Int[Tensor, "windows length"],
    windows: Sequence[TokenWindow],
) -> None:
    """Take in a decoder's predictions of each next token, window by window, so that no copy of all logits is made."""
    for row, window in enumerate(windows):
        if len(window) > 1:
            loss.add(logits[row, : len(window) - 1], token_ids[row, 1 : len(window)])


def masked_windows(windows: Sequence[TokenWindow]) -> frozenset[int]:
    """The items that an encoder's loss is taken over: the dataset's first, as many as `MASKED_TOKENS` tokens hold."""
    ends = np.cumsum([len(window) for window in windows])
    return frozenset(window.item_id for window, end in zip(windows, ends, strict=True) if end <= MASKED_TOKENS)


def add_masked_tokens(
    loss: Loss,
    module: Any,
    inputs: dict[str, Int[Tensor, "windows length"]],
    windows: Sequence[TokenWindow],
    chosen: frozenset[int],
    mask_id: int,
) -> None:
    """Take in an encoder's predictions of the tokens that a seeded draw hides from it, in a pass of their own."""
    rows = [row for row, window in enumerate(windows) if window.item_id in chosen]
    hidden = np.zeros((len(rows), inputs["input_ids"].shape[1]), dtype=bool)
    for place, row in enumerate(rows):
        hidden[place, : len(windows[row])] = hidden_tokens(windows[row])
    if not hidden.any():
        return
    given = {name: values[rows] for name, values in inputs.items()}
    ids = given["input_ids"]
    where = torch.from_numpy(hidden).to(ids.device)
    logits = module(**given | {"input_ids": ids.masked_fill(where, mask_id)}).logits
    loss.add(logits[where], ids[where])


def hidden_tokens(window: TokenWindow) -> NDArray[np.bool_]:
    """The tokens of a window that an encoder has to guess: a seeded draw among those that are not special."""
    places = (np.uint64(window.item_id) << np.uint64(32)) + np.arange(len(window), dtype=np.uint64)
    return (mixed(places) < np.uint64(MASKED_SHARE * 2**64)) & ~window.special
