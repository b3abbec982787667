"""RegNetY: residual stages whose widths follow a quantised line, with squeeze-excitation (Radosavovic et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool, SqueezeExcitation

__all__ = ["NETWORKS"]


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, group_width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(inputs, outputs),
            ConvNorm(outputs, outputs, 3, stride, outputs // group_width),
            SqueezeExcitation(outputs, round(0.25 * inputs)),
            ConvNorm(outputs, outputs, activation=None),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride, activation=None)
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.activation(self.shortcut(x) + self.body(x))
        return y


def _block_widths(depth: int, first: int, slope: float, ratio: float, group_width: int) -> list[int]:
    """Widths of the blocks: first + slope · i, snapped to first · ratioᵏ, then to multiples of 8 and of the group."""
    widths = []
    for index in range(depth):
        step = round(math.log((first + slope * index) / first) / math.log(ratio))
        multiple_of_8 = round(first * ratio**step / 8) * 8
        widths.append(round(multiple_of_8 / group_width) * group_width)
    return widths


def regnet_y(depth: int, first: int, slope: float, ratio: float, group_width: int) -> nn.Module:
    """A RegNetY from the five numbers the paper describes a network by."""
    layers: list[nn.Module] = [ConvNorm(3, 32, 3, 2)]
    channels = 32
    for width in _block_widths(depth, first, slope, ratio, group_width):
        layers.append(_Block(channels, width, 1 if width == channels else 2, group_width))
        channels = width
    return nn.Sequential(*layers, GlobalPool(), nn.Linear(channels, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"regnet_y_400mf": partial(regnet_y, 16, 48, 27.89, 2.09, 8)}
