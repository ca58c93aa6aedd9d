"""The published residual networks of CIFAR-10 as ``python:cifar_resnets:resnet20`` and so forth, for the studies of images.

Their weights, of github.com/akamaster/pytorch_resnet_cifar10 as safetensors, are read from the folder that the variable
CIFAR_RESNETS names (``cifar10-resnets`` here if it is not set). Run a command that names one from this folder, where Python
finds this file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad, relu

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of each channel, as they were trained
Prepared = tuple[nn.Module, Callable[[Tensor], Tensor]]


class Block(nn.Module):
    """Two convolutions of 3 x 3 around which the input goes: every other pixel and zeros for new channels where it shrinks."""

    def __init__(self, given: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.new = (width - given) // 2
        self.stride = stride

    def forward(self, pixels: Tensor) -> Tensor:
        """The block's output (images, width, height, width)."""
        found = self.bn2(self.conv2(relu(self.bn1(self.conv1(pixels)))))
        around = pad(pixels[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new, self.new))
        return relu(found + around)


class ResNet(nn.Module):
    """He et al. 2015, section 4.2: three stages of 16, 32 and 64 channels, (depth - 2) / 6 blocks each."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(Block(given, width, stride), *(Block(width, width, 1) for _ in range(blocks - 1)))
            for given, width, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.linear = nn.Linear(64, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        """The scores (images, 10) of images (images, 3, 32, 32)."""
        found = self.layer3(self.layer2(self.layer1(relu(self.bn1(self.conv1(pixels))))))
        return self.linear(avg_pool2d(found, found.shape[-1]).flatten(1))


def loaded(depth: int) -> Prepared:
    """The network of that depth with its published weights, and what makes an image ready for it."""
    network, folder = ResNet(depth), Path(os.environ.get("CIFAR_RESNETS", "cifar10-resnets"))
    weights = load_file(folder / f"resnet{depth}.safetensors")
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    network.load_state_dict(counters | weights)  # the files lack what a network that is not trained has no use for
    mean, deviation = (torch.tensor(one)[:, None, None] for one in (MEAN, DEVIATION))
    return network.eval(), lambda pixels: (pixels - mean) / deviation


def resnet20() -> Prepared:
    """Of 20 layers."""
    return loaded(20)


def resnet32() -> Prepared:
    """Of 32 layers."""
    return loaded(32)


def resnet44() -> Prepared:
    """Of 44 layers."""
    return loaded(44)


def resnet56() -> Prepared:
    """Of 56 layers."""
    return loaded(56)
