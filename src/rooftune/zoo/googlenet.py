"""GoogLeNet: inception modules, here with batch normalisation and without the auxiliary classifiers.

Szegedy et al. 2015; the 5×5 branch has 3×3 convolutions, as in the form that is in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool

__all__ = ["NETWORKS"]

_Conv = partial(ConvNorm, epsilon=1e-3)

# 1×1; 3×3 reduced, 3×3; second 3×3 reduced, second 3×3; after the pooling
_STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


class _Inception(nn.Module):
    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, reduced, three, reduced_again, three_again, pooled = widths
        self.branches = nn.ModuleList(
            [
                _Conv(inputs, one),
                nn.Sequential(_Conv(inputs, reduced), _Conv(reduced, three, 3)),
                nn.Sequential(_Conv(inputs, reduced_again), _Conv(reduced_again, three_again, 3)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), _Conv(inputs, pooled)),
            ]
        )
        self.outputs = one + three + three_again + pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def googlenet() -> nn.Module:
    """Nine inception modules at 224×224."""
    layers: list[nn.Module] = [
        _Conv(3, 64, 7, 2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _Conv(64, 64),
        _Conv(64, 192, 3),
    ]
    channels = 192
    for stage, modules in enumerate(_STAGES):
        layers.append(nn.MaxPool2d(2 if stage == 2 else 3, 2, ceil_mode=True))
        for widths in modules:
            block = _Inception(channels, widths)
            layers.append(block)
            channels = block.outputs
    return nn.Sequential(*layers, GlobalPool(), nn.Dropout(0.2), nn.Linear(channels, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"googlenet": googlenet}
