"""ShuffleNetV2: split the channels, work on half of them, shuffle (Ma et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool

__all__ = ["NETWORKS"]

_REPEATS = (4, 8, 4)


def _shuffle(x: torch.Tensor) -> torch.Tensor:
    """Interleave the two halves of the channels: Reshape, Transpose, Reshape."""
    batch, channels, height, width = x.shape
    return x.reshape(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


def _branch(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        ConvNorm(inputs, outputs),
        ConvNorm(outputs, outputs, 3, stride, outputs, activation=None),
        ConvNorm(outputs, outputs),
    )


class _Unit(nn.Module):
    """Half of the channels pass unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, worked = x.chunk(2, dim=1)
        return _shuffle(torch.cat((kept, self.branch(worked)), dim=1))


class _DownUnit(nn.Module):
    """Both branches halve the plane."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.shortcut = nn.Sequential(ConvNorm(inputs, inputs, 3, 2, inputs, activation=None), ConvNorm(inputs, half))
        self.branch = _branch(inputs, half, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _shuffle(torch.cat((self.shortcut(x), self.branch(x)), dim=1))


def shufflenet_v2(widths: tuple[int, int, int], head: int) -> nn.Module:
    """`widths` are the output channels of the three stages."""
    layers: list[nn.Module] = [ConvNorm(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 24
    for width, repeats in zip(widths, _REPEATS, strict=True):
        layers.append(_DownUnit(channels, width))
        layers += [_Unit(width) for _ in range(repeats - 1)]
        channels = width
    return nn.Sequential(*layers, ConvNorm(channels, head), GlobalPool(), nn.Linear(head, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "shufflenet_v2_x0_5": partial(shufflenet_v2, (48, 96, 192), 1024),
    "shufflenet_v2_x1_0": partial(shufflenet_v2, (116, 232, 464), 1024),
    "shufflenet_v2_x1_5": partial(shufflenet_v2, (176, 352, 704), 1024),
    "shufflenet_v2_x2_0": partial(shufflenet_v2, (244, 488, 976), 2048),
}
