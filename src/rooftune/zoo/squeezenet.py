"""SqueezeNet: fire modules squeeze with 1×1 and expand with 1×1 beside 3×3 (Iandola et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import GlobalPool

__all__ = ["NETWORKS"]

# squeeze and expand widths of the eight fire modules
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


class _Fire(nn.Module):
    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(inputs, squeeze, 1), nn.ReLU())
        self.narrow = nn.Sequential(nn.Conv2d(squeeze, expand, 1), nn.ReLU())
        self.wide = nn.Sequential(nn.Conv2d(squeeze, expand, 3, padding=1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x)
        return torch.cat((self.narrow(x), self.wide(x)), dim=1)


def squeezenet(stem: int, kernel: int, pool_before: tuple[int, ...]) -> nn.Module:
    """`pool_before` holds the places of the fire modules that a pooling precedes."""
    layers: list[nn.Module] = [nn.Conv2d(3, stem, kernel, 2), nn.ReLU()]
    channels = stem
    for place, (squeeze, expand) in enumerate(_FIRES):
        if place in pool_before:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        layers.append(_Fire(channels, squeeze, expand))
        channels = 2 * expand
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Conv2d(channels, 1000, 1), nn.ReLU(), GlobalPool())


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "squeezenet1_0": partial(squeezenet, 96, 7, (0, 3, 7)),
    "squeezenet1_1": partial(squeezenet, 64, 3, (0, 2, 4)),
}
