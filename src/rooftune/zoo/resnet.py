"""ResNet and ResNeXt: blocks that learn a residual (He et al. 2016, Xie et al. 2017).

The bottleneck halves the plane in its 3×3 convolution (the form known as v1.5), not in the first 1×1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool

__all__ = ["NETWORKS"]


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.activation(self.body(x) + self.shortcut(x))
        return y


def _block(
    inputs: int, width: int, stride: int, bottleneck: bool, groups: int, group_width: int
) -> tuple[nn.Module, int]:
    if bottleneck:
        inner = width * group_width // 64 * groups
        outputs = 4 * width
        body = nn.Sequential(
            ConvNorm(inputs, inner),
            ConvNorm(inner, inner, 3, stride, groups),
            ConvNorm(inner, outputs, activation=None),
        )
    else:
        outputs = width
        body = nn.Sequential(ConvNorm(inputs, width, 3, stride), ConvNorm(width, width, 3, activation=None))
    same = stride == 1 and inputs == outputs
    shortcut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride, activation=None)
    return _Residual(body, shortcut), outputs


def resnet(blocks: tuple[int, ...], bottleneck: bool, groups: int = 1, group_width: int = 64) -> nn.Module:
    """Four stages of `blocks` residual blocks; `groups` × `group_width` (at width 64) makes it a ResNeXt."""
    layers: list[nn.Module] = [ConvNorm(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            block, channels = _block(channels, 64 << stage, stride, bottleneck, groups, group_width)
            layers.append(block)
    return nn.Sequential(*layers, GlobalPool(), nn.Linear(channels, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "resnet18": partial(resnet, (2, 2, 2, 2), False),
    "resnet34": partial(resnet, (3, 4, 6, 3), False),
    "resnet50": partial(resnet, (3, 4, 6, 3), True),
    "resnet101": partial(resnet, (3, 4, 23, 3), True),
    "resnext50": partial(resnet, (3, 4, 6, 3), True, groups=32, group_width=4),
}
