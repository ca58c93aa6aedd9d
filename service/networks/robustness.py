"""What a network tells of corrupted images and texts, prediction by prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from service.edit_results import Predictions
from service.errors import BadInput
from service.networks.batches import CPU_BATCH, padded
from service.networks.edit_cases import scores_of
from service.networks.image_corruptions import corrupted
from service.networks.loading import Network
from service.networks.pictures import Pixels
from service.networks.text_corruptions import corrupted_text
from service.networks.token_windows import TokenWindow, tokenised
from service.networks.vision import VisionNetwork

Half = NDArray[np.int64]
IMAGES = 256  # that are judged at a time


def item_seed(seed: int, item: int) -> int:
    """The seed of one image's or text's corruption: the same whichever others are judged beside it."""
    return int(np.random.SeedSequence((seed, item)).generate_state(1)[0])


def corrupted_images(
    images: Sequence[Pixels], item_ids: Sequence[int], family: str, severity: int, seed: int = 0
) -> list[Pixels]:
    """Images as they come out of a corruption, each by the seed of its item. Raises UnknownName, BadInput."""
    seeds = [item_seed(seed, item) for item in item_ids]
    return [corrupted(pixels, family, severity, own) for pixels, own in zip(images, seeds, strict=True)]


def pixel_predictions(
    network: Network, images: Sequence[Pixels], targets: Sequence[int], groups: Sequence[int]
) -> Predictions:
    """What an image classifier tells of images as they are, each against its target class. Raises BadInput."""
    if not isinstance(network, VisionNetwork) or not network.predicts:
        raise BadInput(f"{network.checkpoint.label} is no image classifier with a head, and images are to be judged")
    if not len(images) == len(targets) == len(groups) or not len(images):
        raise BadInput(
            f"images, targets and groups need to be as many, one or more; got {len(images)}, {len(targets)}, {len(groups)}"
        )
    found = []
    for start in range(0, len(images), IMAGES):
        inputs = network.inputs(images[start : start + IMAGES])
        wanted = torch.tensor(targets[start : start + IMAGES])
        with torch.inference_mode():
            logits = scores_of(network, inputs)
        _refuse_classes(wanted, logits.shape[-1], network)
        found.append(judged(logits, wanted.to(logits.device), torch.tensor(groups[start : start + IMAGES])))
    return joined(found)


def _refuse_classes(wanted: Tensor, classes: int, network: Network) -> None:
    wrong = wanted[(wanted < 0) | (wanted >= classes)]
    if len(wrong):
        raise BadInput(
            f"class {int(wrong[0])} is none of {network.checkpoint.label}, which has {classes}: give 0 to {classes - 1}"
        )


def text_predictions(network: Network, texts: Sequence[str], family: str, severity: int, seed: int = 0) -> Predictions:
    """What a decoder tells of each next token in the second half of texts whose first half is corrupted; each text is a group.

    A text is halved between two tokens of it as it stands untouched, before white space where there is any. The tokens of the
    second half are the same under every corruption, so that predictions can be compared one by one. Of each text the network
    is given as many tokens as are two thirds of what it can read, so that a corrupted first half may double; of one that still
    grows too long the latest tokens are kept. Texts of fewer than 2 tokens are left out, and a text's place in `texts` is its
    group and part of its seed. Raises UnknownName, BadInput.
    """
    if network.tokenizer is None or not network.predicts or network.facts.kind != "decoder":
        raise BadInput(f"{network.checkpoint.label} is no decoder with a head, and next tokens are to be judged")
    corrupted_text("", family, severity, 0)  # refuses what nobody knows before anything is read
    halves = [_halved(network, text, family, severity, item_seed(seed, place)) for place, text in enumerate(texts)]
    there = [(place, *half) for place, half in enumerate(halves) if half is not None]
    if not there:
        raise BadInput(f"next tokens need a text of 2 tokens or more; got {len(texts)} texts without any")
    return joined(
        [
            one
            for start in range(0, len(there), CPU_BATCH)
            for one in _next_tokens(network, there[start : start + CPU_BATCH])
        ]
    )


def _halved(network: Network, text: str, family: str, severity: int, seed: int) -> tuple[Half, Half] | None:
    """The tokens of the corrupted first half and those of the untouched second one; None for a text that has no two halves."""
    longest = None if network.max_length is None else max(network.max_length * 2 // 3, 2)
    whole = tokenised(network.tokenizer, 0, text, longest)
    body = np.flatnonzero(~whole.special)
    if len(body) < 2:
        return None
    ends = whole.char_end[body]
    cut = _cut(text, ends)
    second = whole.token_ids[body[cut:]]
    spoiled = tokenised(network.tokenizer, 0, corrupted_text(text[: ends[cut - 1]], family, severity, seed), None)
    plain = np.flatnonzero(~spoiled.special)
    lead = spoiled.token_ids[: plain[0] if len(plain) else 1]
    first = spoiled.token_ids[plain]
    if network.max_length is not None:
        room = network.max_length - len(second) - len(lead)
        first = first[max(len(first) - room, 0) :]
    before = np.concatenate([lead, first])
    return (before, second) if len(before) else None


def _cut(text: str, ends: Half) -> int:
    """Before which token a text is halved: the first of the second half before which, or with which, white space begins; the
    middle one where there is none."""
    middle = len(ends) // 2
    return next(
        (place for place in range(middle, len(ends)) if text[ends[place - 1] : ends[place - 1] + 1].isspace()), middle
    )


def _next_tokens(network: Network, group: Sequence[tuple[int, Half, Half]]) -> list[Predictions]:
    """The predictions of the second halves of some texts."""
    windows = [_window(place, np.concatenate(halves)) for place, *halves in group]
    inputs = padded(windows, network.tokenizer.pad_token_id or 0, network.device)
    with torch.inference_mode():
        scores = scores_of(network, inputs)
    found = []
    for row, (place, first, second) in enumerate(group):
        logits = scores[row, len(first) - 1 : len(first) + len(second) - 1]
        targets = torch.from_numpy(second).to(logits.device)
        found.append(judged(logits, targets, torch.full((len(second),), place)))
    return found


def _window(place: int, ids: Half) -> TokenWindow:
    return TokenWindow(place, ids, np.zeros_like(ids), np.zeros(len(ids), dtype=bool))


def judged(
    logits: Float[Tensor, "predictions classes"],
    targets: Int[Tensor, " predictions"],
    groups: Int[Tensor, " predictions"],
) -> Predictions:
    """Scores against what is right. Scores that are no numbers are wrong, and their loss and confidence are none."""
    confidence, told = logits.softmax(-1).max(-1)
    numbers = torch.isfinite(confidence)
    return Predictions(
        correct=((told == targets) & numbers).cpu(),
        loss=cross_entropy(logits, targets, reduction="none").cpu(),
        confidence=confidence.cpu(),
        groups=groups,
    )


def joined(found: Sequence[Predictions]) -> Predictions:
    """Predictions one after another."""
    return Predictions(
        correct=torch.cat([one.correct for one in found]),
        loss=torch.cat([one.loss for one in found]),
        confidence=torch.cat([one.confidence for one in found]),
        groups=torch.cat([one.groups for one in found]),
    )
