"""What a user's own file of networks may hold; tests name its functions as ``python:convnets:...``."""

from __future__ import annotations

import torch
from torch import nn


class ConvNet(nn.Module):
    """Two convolutions and a linear head, for grey images of 8 x 8 pixels."""

    def __init__(self, padding: int = 1) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(12, 10)
        self.first = nn.Conv2d(1, 6, 3, stride=2, padding=padding)
        self.second = nn.Sequential(nn.Conv2d(6, 12, 3, padding=1), nn.ReLU())
        self.twice = nn.ReLU()

    def forward(self, images):
        return self.head(self.twice(self.second(self.twice(self.first(images)))).mean((2, 3)))


def convnet():
    """Random weights."""
    return ConvNet()


def prepared():
    """With what makes an image of any size one of 8 x 8."""
    return ConvNet(), lambda image: nn.functional.interpolate(image[None], (8, 8))[0] - 0.5


def stages():
    """Two stages of other sizes and widths."""
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 2, stride=2))


def perceptron():
    """One state an image at every layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def unseeded():
    """Other weights at each call, whatever the seed."""
    module = nn.Conv2d(1, 4, 3)
    module.weight.data += torch.randn(module.weight.shape, generator=torch.Generator().manual_seed(next(COUNT)))
    return module


COUNT = iter(range(1000))


def words():
    """No network at all."""
    return "no module"


def bare():
    """Nothing that was learned."""
    return nn.ReLU()


def blind():
    """What reads no image."""
    return nn.Conv1d(1, 1, 3)


def failing():
    """What cannot be built."""
    raise ValueError("no weights\nhere")
