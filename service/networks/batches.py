"""Windows of one dataset as padded batches, with the rows of each position class and of the sampled tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from service.errors import BadInput, NetworkMismatch
from service.networks.coordinated_sample import coordinated_sample
from service.networks.streamed_moments import CLASSES
from service.networks.token_windows import TokenWindow
from service.results import SampledTokens

CPU_BATCH = 8  # windows


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows padded on the right to one length, on the network's device.

    `inputs` are what `padded` gives. Rows count the batch's tokens, padding too, window after window:
    `members` are those of each of `CLASSES`, `sampled` those of the sample's tokens, whose places in the sample are `slots`.
    """

    windows: list[TokenWindow]
    inputs: dict[str, Int[Tensor, "windows length"]]
    members: tuple[Int[Tensor, " members"], ...]
    sampled: Int[Tensor, " sampled"]
    slots: NDArray[np.int64]

    @property
    def tokens(self) -> int:
        """How many tokens it holds, padding left out."""
        return sum(len(window) for window in self.windows)

    def tokens_of(self, depth: int, states: Tensor) -> Tensor:
        """The states of a layer, which are (windows, length, width). Raises NetworkMismatch where they are not."""
        if states.ndim != 3:
            raise NetworkMismatch(
                f"layer {depth} gives states of shape {tuple(states.shape)}: (batch, length, width) is needed"
            )
        return states


class Batches:
    """The batches of one pass over tokenised windows, the longest windows first, and the tokens whose states are kept.

    Raises BadInput where there are fewer tokens than the sample asks.
    """

    usual_batch = CPU_BATCH

    def __init__(self, windows: Sequence[TokenWindow], sample: int, pad_id: int, dataset: str) -> None:
        self.windows = windows
        self.pad_id = pad_id
        self.tokens = sum(len(window) for window in windows)
        there = sum(1 if window.last_alone else len(window) for window in windows)
        if there < sample:
            raise BadInput(
                f"the sample asks for {sample} tokens, and {dataset} has {there} by this tokenizer: give "
                f"--sample {max(there, 1)} or less, or a larger text"
            )
        self.chosen = _chosen(windows, sample)
        self.order = sorted(range(len(windows)), key=lambda place: (-len(windows[place]), place))

    @property
    def sample(self) -> SampledTokens:
        """The tokens whose states are kept."""
        names = ("item_id", "char_end", "token_id", "position", "special")
        return SampledTokens(**{name: torch.from_numpy(self.chosen[name]) for name in names})

    def longest_inputs(self, size: int, device: torch.device) -> dict[str, Tensor]:
        """The inputs of the `size` longest windows."""
        return padded([self.windows[place] for place in self.order[:size]], self.pad_id, device)

    def of(self, size: int, device: torch.device) -> Iterator[Batch]:
        """Every window once, `size` at a time."""
        by_window = np.argsort(self.chosen["window"], kind="stable")
        starts = np.searchsorted(self.chosen["window"][by_window], np.arange(len(self.windows) + 1))
        for start in range(0, len(self.order), size):
            places = self.order[start : start + size]
            group = [self.windows[place] for place in places]
            slots = [by_window[starts[place] : starts[place + 1]] for place in places]
            rows = [row * len(group[0]) + self.chosen["position"][found] for row, found in enumerate(slots)]
            yield Batch(
                windows=group,
                inputs=padded(group, self.pad_id, device),
                members=tuple(rows.to(device) for rows in class_rows(group)),
                sampled=torch.from_numpy(np.concatenate(rows)).to(device),
                slots=np.concatenate(slots),
            )


def padded(windows: Sequence[TokenWindow], pad_id: int, device: torch.device) -> dict[str, Tensor]:
    """Token ids and attention mask, both (windows, length of the longest), and of pairs of texts the token types."""
    length = max(len(window) for window in windows)
    ids = torch.full((len(windows), length), pad_id, dtype=torch.long)
    mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = torch.from_numpy(window.token_ids)
        mask[row, : len(window)] = 1
        if window.token_types is not None:
            types[row, : len(window)] = torch.from_numpy(window.token_types)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if any(window.token_types is not None for window in windows):
        inputs["token_type_ids"] = types
    return {name: values.to(device) for name, values in inputs.items()}


def class_rows(windows: Sequence[TokenWindow]) -> list[Int[Tensor, " members"]]:
    """The rows of each of `CLASSES` in the padded windows."""
    length = max(len(window) for window in windows)
    kind = np.full((len(windows), length), -1)
    for row, window in enumerate(windows):
        kind[row, : len(window)] = np.where(window.special, CLASSES.index("special"), CLASSES.index("rest"))
        kind[row, 0] = CLASSES.index("special-first" if window.special[0] else "first")
    return [torch.from_numpy(np.flatnonzero(kind == place)) for place in range(len(CLASSES))]


def _chosen(windows: Sequence[TokenWindow], sample: int) -> dict[str, NDArray[np.int64]]:
    """The tokens of the coordinated sample by column, and the place of each one's window."""
    lengths = [len(window) for window in windows]
    item_id = np.repeat(np.array([window.item_id for window in windows], dtype=np.int64), lengths)
    char_end = np.concatenate([window.char_end for window in windows])
    position = np.concatenate([np.arange(length) for length in lengths])
    last = position == np.repeat(np.array(lengths), lengths) - 1
    open_to_all = np.repeat(np.array([not window.last_alone for window in windows]), lengths)
    eligible = np.flatnonzero(last | open_to_all)
    kept = eligible[coordinated_sample(item_id[eligible], char_end[eligible], position[eligible], sample)]
    return {
        "item_id": item_id[kept],
        "char_end": char_end[kept],
        "token_id": np.concatenate([window.token_ids for window in windows])[kept],
        "position": position[kept],
        "special": np.concatenate([window.special for window in windows])[kept],
        "window": np.repeat(np.arange(len(windows)), lengths)[kept],
    }
