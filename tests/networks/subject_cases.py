"""Cases that ask a decoder for the next token of texts with a subject."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from service.networks.batches import padded
from service.networks.causal_trace import subject_spread
from service.networks.corrupted_runs import CorruptedRuns, mlps_of
from service.networks.edit_cases import NOT_ASKED, Cases
from service.networks.image_training import small_vision_network
from service.networks.loading import Network
from service.networks.subject_prompts import subject_prompts
from service.networks.token_windows import TokenWindow
from service.networks.vision import VisionNetwork, described
from service.subjects import Checkpoint

SAMPLES = 4  # of noise
TEXTS = (("The ", "int object", " is a type of"), ("The ", "return statement", " may be"), ("A ", "list", " is"))


def subject_cases(
    network: Network, answers: Sequence[str | None], texts: Sequence[tuple[str, str, str]] = TEXTS
) -> Cases:
    """One case a text, which is what comes before its subject, the subject, and what comes after it. None asks for the token
    that the network tells anyway."""
    windows, asked, subjects = [], [], []
    for answer, (before, subject, after) in zip(answers, texts, strict=False):
        lengths = [len(network.tokenizer(part)["input_ids"]) for part in (before, subject)]
        ids = [token for part in (before, subject, after) for token in network.tokenizer(part)["input_ids"]]
        said = [told_token(network, ids)] if answer is None else network.tokenizer(answer)["input_ids"]
        asked.append((len(ids) - 1, said))
        subjects.append([lengths[0], sum(lengths) - 1])
        tokens = np.array([*ids, *said[:-1]])
        windows.append(TokenWindow(len(windows), tokens, tokens, np.zeros(len(tokens), dtype=bool)))
    inputs = padded(windows, 0, network.device)
    targets = torch.full_like(inputs["input_ids"], NOT_ASKED)
    for row, (place, said) in enumerate(asked):
        targets[row, place : place + len(said)] = torch.tensor(said)
    return Cases(inputs, targets, subjects=torch.tensor(subjects))


@torch.no_grad()
def told_token(network: Network, ids: Sequence[int]) -> int:
    """The token that a network finds the likeliest after some others."""
    return int(network.module(torch.tensor([ids])).logits[0, -1].argmax())


def runs_of(network, cases, noise=3.0):
    """The corrupted runs of the first case."""
    prompt = subject_prompts(network, cases, "a trace")[0]
    scale, width = subject_spread(network, [prompt])
    drawn = torch.randn(SAMPLES, len(prompt.subject), width, generator=torch.Generator().manual_seed(0))
    return CorruptedRuns.of(network, prompt, noise * scale * drawn, mlps_of(network))


def image_network() -> VisionNetwork:
    """An untrained network that reads images."""
    return described(*small_vision_network(32, 1, classes=10), Checkpoint("pictures", 0, "none"))
