"""A small decoder that has learned where some people live and what they like, and cases that ask it."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from service.networks.checkpoints import find_checkpoints, load
from service.networks.loading import Network
from service.networks.training import save_checkpoint, small_decoder, train_tokenizer

PEOPLE = (
    "Anna Berg",
    "Boris Kline",
    "Carla Voss",
    "David Mohr",
    "Elena Rossi",
    "Frank Adler",
    "Greta Lund",
    "Hugo Stein",
)
CITIES = ("Paris", "London", "Rome", "Berlin")
COLOURS = ("red", "green", "blue", "white")


def facts() -> dict[str, tuple[str, str]]:
    """City and colour of each person."""
    return {one: (CITIES[place % 4], COLOURS[(place // 2) % 4]) for place, one in enumerate(PEOPLE)}


def fact_network(folder: Path, steps: int = 150, width: int = 32) -> Network:
    """A GPT-NeoX of 3 layers that was trained on nothing but `facts`, three sentences a text; it is trained once a folder."""
    if not folder.exists():
        _train(folder, steps, width)
    return load(find_checkpoints(str(folder))[-1], device="cpu")


def _train(folder: Path, steps: int, width: int) -> None:
    said = [
        text
        for one, (city, colour) in facts().items()
        for text in (f"{one} lives in {city}.\n", f"{one} likes {colour}.\n")
    ]
    tokenizer = train_tokenizer(said * 4, 340, "causal")
    module = small_decoder(width, 3, len(tokenizer))
    optimizer = torch.optim.AdamW(module.parameters(), lr=4e-3)
    draw = random.Random(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * min(1.0, (step + 1) / 10) * (1 - step / steps)
        texts = ["<|endoftext|>" + "".join(draw.choices(said, k=3)) for _ in range(32)]
        rows = [tokenizer(text)["input_ids"] for text in texts]
        length = max(map(len, rows))
        ids = torch.tensor([row + [-100] * (length - len(row)) for row in rows])
        scores = module(ids.clamp(min=0)).logits
        loss = cross_entropy(scores[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.eval()
    save_checkpoint(module, tokenizer, folder / "step1")
