"""CSPNet: half of a stage's channels pass its blocks by and join them at the end (Wang et al. 2020).

Sizes and the slope of the activation (0.01) are those of timm. The authors' darknet files give the blocks of the first
stage 64 channels, not 128, which saves 8,192 weights; they also pool 2×2 after the stem and have a slope of 0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool

__all__ = ["NETWORKS"]


class _ResidualNorm(nn.BatchNorm2d):
    """Batch normalisation before a sum, drawn small, so that the signal keeps its scale.

    Unscaled, it would grow by a factor of thousands along the network, and no bias of a late block would be seen.
    """

    initial_gain = 0.5


class _Bottleneck(nn.Module):
    """A residual learnt at half of the width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            ConvNorm(channels, half, activation=nn.LeakyReLU),
            ConvNorm(half, half, 3, activation=nn.LeakyReLU),
            nn.Conv2d(half, channels, 1, bias=False),
            _ResidualNorm(channels),
        )
        self.activation = nn.LeakyReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.activation(self.body(x) + x)
        return y


class _CrossStage(nn.Module):
    """Expand to twice the outputs, send one half through the blocks, join both halves and mix them."""

    def __init__(self, inputs: int, outputs: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.width = outputs
        self.down = nn.Sequential()
        if stride > 1:
            self.down.append(ConvNorm(inputs, inputs, 3, stride, activation=nn.LeakyReLU))
        self.expansion = ConvNorm(inputs, 2 * outputs, activation=None)
        self.blocks = nn.Sequential(
            *(_Bottleneck(outputs) for _ in range(blocks)), ConvNorm(outputs, outputs, activation=nn.LeakyReLU)
        )
        self.transition = ConvNorm(2 * outputs, outputs, activation=nn.LeakyReLU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passed, worked = self.expansion(self.down(x)).split(self.width, dim=1)
        y: torch.Tensor = self.transition(torch.cat((passed, self.blocks(worked)), dim=1))
        return y


def cspresnet(blocks: tuple[int, ...]) -> nn.Module:
    """Cross stages of this many bottlenecks, 128 channels wide in the first and twice as many in each that follows."""
    layers: list[nn.Module] = [ConvNorm(3, 64, 7, 2, activation=nn.LeakyReLU), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, count in enumerate(blocks):
        width = 128 << stage
        layers.append(_CrossStage(channels, width, count, 2 if stage > 0 else 1))
        channels = width
    return nn.Sequential(*layers, GlobalPool(), nn.Linear(channels, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"cspresnet50": partial(cspresnet, (3, 3, 5, 2))}
