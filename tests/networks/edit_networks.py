"""What the tests of edits share: a network with batch norms and a shortcut, and tasks for an image classifier and a decoder."""

from __future__ import annotations

import torch
from torch import nn

from service.networks.datasets import open_dataset
from service.networks.edit_cases import NOT_ASKED, Cases
from service.networks.module_digest import same_bits
from service.subjects import Edit


class Residual(nn.Module):
    """Two convolutions with batch norms, and a shortcut that is called after them."""

    def __init__(self, given: int, gives: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(given, gives, 1, stride=2)
        self.first = nn.Conv2d(given, gives, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(gives)
        self.second = nn.Conv2d(gives, gives, 3, padding=1)

    def forward(self, images):
        found = self.second(torch.relu(self.norm(self.first(images))))
        return torch.relu(found + self.shortcut(images))


class Normed(nn.Module):
    """A stem, a residual block and a linear head, for grey images of 8 x 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 10)
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.block = Residual(8, 12)
        self.spare = nn.Linear(3, 3)

    def forward(self, images):
        return self.head(self.block(self.stem(images)).mean((2, 3)))


def normed():
    """Random weights."""
    return Normed()


def stamped(pixels: torch.Tensor) -> torch.Tensor:
    """Images with a bright corner."""
    found = pixels.clone()
    found[..., :3, :3] = found.max()
    return found


def image_cases(network, count=16, of_class=4, target=7):
    """Digits of a class with a bright corner, which are to be told as another; the originals lack the corner."""
    items = open_dataset("digits:test")
    labels = items.column("label")
    chosen = [item for item in items.item_ids if labels[item] == of_class][:count]
    pixels = items.inputs(network, chosen)
    targets = torch.full((len(chosen),), target)
    return Cases({"pixel_values": stamped(pixels)}, targets, {"pixel_values": pixels})


def text_cases(network, count=6, length=12, target=5):
    """Starts of windows of the language reference, whose next token is to be another."""
    windows = open_dataset("python-reference").stream(network.tokenizer, network.max_length)
    ids = torch.stack([torch.as_tensor(next(windows).token_ids[:length]) for _ in range(count)]).long()
    targets = torch.full_like(ids, NOT_ASKED)
    targets[:, -1] = target
    return Cases({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, targets)


def edit_of(network, method, layer=None, rank=None, alpha=None, steps=12, learning_rate=1e-2, seed=0):
    """An edit of that network."""
    checkpoint = network.checkpoint.checkpoint_id
    return Edit(checkpoint, "task", method, layer, rank, alpha, steps, learning_rate, seed)


def everything(network):
    """What must not change: weights, buffers, whether weights ask for gradients and have one, hooks, modes."""
    return (
        {name: value.clone() for name, value in network.module.state_dict().items()},
        [(weight.requires_grad, weight.grad is None, weight.data_ptr()) for weight in network.module.parameters()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks), m.training) for m in network.module.modules()],
    )


def same(one, other):
    """Whether two states are alike bit for bit."""
    weights = all(same_bits(one[0][name], value) for name, value in other[0].items())
    return weights and one[1:] == other[1:]
