"""ConvNeXt: a convolutional network modernised after the transformers (Liu et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import GlobalPool

__all__ = ["NETWORKS"]


class _ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of [N, C, H, W]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """Depthwise 7×7, then a two-layer perceptron per pixel, scaled per channel, around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.scale = nn.Parameter(torch.empty(width, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.perceptron(self.depthwise(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        z: torch.Tensor = x + self.scale * y
        return z


def convnext(blocks: tuple[int, ...], widths: tuple[int, ...]) -> nn.Module:
    """Stages of this many blocks and this width at 224×224."""
    layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 4), _ChannelNorm(widths[0], eps=1e-6)]
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        if stage > 0:
            before = widths[stage - 1]
            layers += [_ChannelNorm(before, eps=1e-6), nn.Conv2d(before, width, 2, 2)]
        layers += [_Block(width) for _ in range(count)]
    last = widths[-1]
    return nn.Sequential(*layers, GlobalPool(), nn.LayerNorm(last, eps=1e-6), nn.Linear(last, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "convnext_tiny": partial(convnext, (3, 3, 9, 3), (96, 192, 384, 768))
}
