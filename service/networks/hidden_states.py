"""One forward pass over a dataset: every layer's moments of all tokens, and the states of the coordinated sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from service.errors import BadInput, NetworkMismatch
from service.networks.batches import Batch, Batches
from service.networks.datasets import Items
from service.networks.image_batches import ImageBatch, ImageBatches
from service.networks.image_datasets import ImageItems
from service.networks.loading import Network
from service.networks.losses import Loss, add_masked_tokens, add_next_tokens, masked_windows
from service.networks.streamed_moments import StreamedMoments
from service.networks.threads import side_by_side
from service.networks.vision import VisionNetwork
from service.results import SampledTokens, Summary
from service.subjects import Site

OnProgress = Callable[[int, int | None], None]
LARGEST_BATCH = 512


class SiteStates:
    """What is kept of one site while the pass runs: moments of all tokens, and the sampled states in the order seen."""

    def __init__(self, points: int) -> None:
        self.moments = StreamedMoments()
        self.points = points
        self.filled = 0
        self.states: Float[Tensor, "points width"] | None = None

    def take(self, states: Float[Tensor, "windows length width"], batch: Batch | ImageBatch) -> None:
        """Take in one batch. A CUDA device is never waited for: the sampled states go to pinned memory."""
        flat = states.flatten(0, 1)
        self.moments.add(flat, batch.members)
        sampled = flat.index_select(0, batch.sampled)
        if self.states is None:
            kept = torch.float16 if sampled.dtype == torch.float16 else torch.float32
            self.states = torch.empty(self.points, sampled.shape[1], dtype=kept, pin_memory=sampled.is_cuda)
        place = self.states[self.filled : self.filled + len(sampled)]
        place.copy_(sampled.to(place.dtype), non_blocking=True)
        self.filled += len(sampled)


def extract(
    network: Network,
    items: Items,
    sample: int = 4096,
    batch_size: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[Summary]:
    """The summaries of every site, by depth, from one forward pass. Padding enters nothing.

    `sample` states are kept of each site; `batch_size` is in windows or images (None: few on a CPU; on CUDA as many as memory
    holds). `on_progress` is told tokens done and tokens in all. Raises BadInput where there are fewer tokens than the
    sample asks, before any pass, where the device's memory does not hold a batch, and for texts where the network reads images
    or images where it reads texts.
    """
    batches = _batches(network, items, sample)
    with torch.inference_mode():
        size = batch_size or _batch_size(network, batches)
        while True:
            try:
                return _one_pass(network, items, batches, size, on_progress)
            except torch.OutOfMemoryError as error:
                if batch_size or size == 1:
                    raise BadInput(
                        f"{network.facts.device} has too little memory for batches of {size} windows: give a smaller "
                        "--batch-size or --window, or --device cpu"
                    ) from error
            size //= 2
            torch.cuda.empty_cache()


def _batches(network: Network, items: Items, sample: int) -> Batches | ImageBatches:
    if isinstance(network, VisionNetwork) and isinstance(items, ImageItems):
        return ImageBatches(network, items, sample)
    if isinstance(network, VisionNetwork) or isinstance(items, ImageItems):
        reads, given = ("images", "texts") if isinstance(network, VisionNetwork) else ("texts", "images")
        example = "digits" if reads == "images" else "python-reference"
        raise BadInput(
            f"{network.checkpoint.label} reads {reads}, and {items.dataset.name} is a dataset of {given}: give one of {reads}, "
            f"such as --dataset {example}"
        )
    windows = items.windows(network.tokenizer, network.max_length)
    if items.choice.fixes_tokens:
        sample = min(sample, sum(1 if window.last_alone else len(window) for window in windows))
    batches = Batches(windows, sample, network.tokenizer.pad_token_id or 0, items.dataset.name)
    _check_vocabulary(network, batches)
    return batches


def _check_vocabulary(network: Network, batches: Batches) -> None:
    known = network.embedded_tokens
    largest = max(int(window.token_ids.max()) for window in batches.windows)
    if largest >= known:
        raise NetworkMismatch(
            f"{network.checkpoint.label} embeds {known} tokens, and its tokenizer gives token {largest}: it is not its own"
        )


def _one_pass(
    network: Network, items: Items, batches: Batches | ImageBatches, size: int, on_progress: OnProgress | None
) -> list[Summary]:
    sites = [SiteStates(len(batches.chosen["item_id"])) for _ in network.sites]
    masked = masked_windows(batches.windows) if isinstance(batches, Batches) else frozenset()
    loss, slots, done = Loss(), [], 0
    for batch in batches.of(size, network.device):
        with network.blocks.capturing(partial(_take, sites, batch)):
            output = network.read(batch.inputs)
        if isinstance(batch, Batch) and network.predicts:
            _add_loss(loss, network, batch, output, masked)
        slots.append(batch.slots)
        done += batch.tokens
        if on_progress:
            on_progress(done, batches.tokens)
    if network.device.type == "cuda":
        torch.cuda.synchronize(network.device)
    ordered = torch.from_numpy(np.argsort(np.concatenate(slots)))
    return _summaries(network, items, batches, sites, ordered, loss)


def _add_loss(loss: Loss, network: Network, batch: Batch, output: Any, masked: frozenset[int]) -> None:
    if network.facts.kind == "decoder":
        add_next_tokens(loss, output.logits, batch.inputs["input_ids"], batch.windows)
    elif network.tokenizer.mask_token_id is not None:
        add_masked_tokens(loss, network.module, batch.inputs, batch.windows, masked, network.tokenizer.mask_token_id)


def _take(sites: list[SiteStates], batch: Batch | ImageBatch, depth: int, states: Tensor) -> None:
    sites[depth].take(batch.tokens_of(depth, states), batch)


def _batch_size(network: Network, batches: Batches | ImageBatches) -> int:
    """On CUDA half of the largest power of two that the longest windows fit memory with, found by doubling."""
    if network.device.type != "cuda":
        return batches.usual_batch
    size = 8
    while size < min(len(batches.windows), LARGEST_BATCH):
        try:
            network.read(batches.longest_inputs(2 * size, network.device))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        size *= 2
    return max(size // 2, 1)  # room for the moments


def _summaries(
    network: Network,
    items: Items,
    batches: Batches | ImageBatches,
    sites: list[SiteStates],
    ordered: Tensor,
    loss: Loss,
) -> list[Summary]:
    checkpoint, dataset = network.checkpoint, items.dataset
    found = loss.result(checkpoint.checkpoint_id, dataset.name)
    summaries = []
    moments = side_by_side(lambda site: site.moments.by_positions(), sites)
    names = network.layer_names if isinstance(network, VisionNetwork) else len(sites) * (None,)
    for (layer, stream, entry), site, by_positions, name in zip(network.sites, sites, moments, names, strict=True):
        if site.states is None:
            raise NetworkMismatch(f"layer {layer} of {checkpoint.label} is not called in a forward pass over a batch")
        summary = Summary(
            site=Site(checkpoint, dataset.name, dataset.digest, layer, stream),
            sample=batches.sample,
            states=site.states[ordered],
            moments=by_positions,
            hidden_state_index=entry,
            tokens_seen=batches.tokens,
            non_finite=site.moments.non_finite,
            facts=network.facts,
            loss=found,
            layer_name=name,
        )
        site.states = None
        summaries.append(_finite(summary) if summary.non_finite else summary)
    return summaries


def _finite(summary: Summary) -> Summary:
    """The summary without the sampled tokens whose states are NaN or infinite."""
    keep = torch.isfinite(summary.states).all(1)
    sample = SampledTokens(**{name: values[keep] for name, values in vars(summary.sample).items()})
    return replace(summary, states=summary.states[keep], sample=sample)
