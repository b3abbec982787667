"""DenseNet: every layer sees the outputs of all layers before it (Huang et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool

__all__ = ["NETWORKS"]


class _DenseLayer(nn.Module):
    """Normalise, activate, convolve, twice; the result is appended to the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        bottleneck = 4 * growth
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, bottleneck, 1, bias=False),
            nn.BatchNorm2d(bottleneck),
            nn.ReLU(),
            nn.Conv2d(bottleneck, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, self.body(x)), dim=1)


def densenet(blocks: tuple[int, ...], growth: int = 32, stem: int = 64) -> nn.Module:
    """Dense blocks of this many layers, between them a 1×1 convolution and a pooling that halve everything."""
    layers: list[nn.Module] = [ConvNorm(3, stem, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = stem
    for index, count in enumerate(blocks):
        for _ in range(count):
            layers.append(_DenseLayer(channels, growth))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if index < len(blocks) - 1:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, GlobalPool(), nn.Linear(channels, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"densenet121": partial(densenet, (6, 12, 24, 16))}
