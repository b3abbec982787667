"""GhostNet: half of the channels are made from the other half by cheap depthwise convolutions (Han et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from rooftune.zoo.layers import ConvNorm, SqueezeExcitation, round_channels

__all__ = ["NETWORKS"]

# kernel, expanded, outputs, squeeze-excitation, stride: table 1 of the paper
_BLOCKS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
)


class _LinearNorm(nn.BatchNorm2d):
    """Batch normalisation without an activation after it, drawn small, so that chains and sums of these keep the scale.

    Unscaled, the signal would grow a millionfold along the network, and no bias of a late block would be seen.
    """

    initial_gain = 0.5


def _linear(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, _LinearNorm(outputs))


class _Ghost(nn.Module):
    """A pointwise convolution to half of the (even) outputs, joined by a 3×3 depthwise convolution of its result."""

    def __init__(self, inputs: int, outputs: int, layer: Callable[..., nn.Module]) -> None:
        super().__init__()
        half = outputs // 2
        self.primary = layer(inputs, half)
        self.cheap = layer(half, half, kernel=3, groups=half)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        primary = self.primary(x)
        return torch.cat((primary, self.cheap(primary)), dim=1)


class _Bottleneck(nn.Module):
    """Ghost expansion, a depthwise convolution where the plane is halved, linear ghost projection, and a shortcut."""

    def __init__(self, inputs: int, expanded: int, outputs: int, kernel: int, stride: int, excited: bool) -> None:
        super().__init__()
        body: list[nn.Module] = [_Ghost(inputs, expanded, ConvNorm)]
        if stride > 1:
            body.append(_linear(expanded, expanded, kernel, stride, expanded))
        if excited:
            body.append(SqueezeExcitation(expanded, round_channels(expanded / 4, 4), gate=nn.Hardsigmoid))
        self.body = nn.Sequential(*body, _Ghost(expanded, outputs, _linear))
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut.append(_linear(inputs, inputs, kernel, stride, inputs))
            self.shortcut.append(_linear(inputs, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x) + self.shortcut(x)
        return y


def ghostnet() -> nn.Module:
    """Width 1.0 at 224×224. The layer before the classifier is a convolution of the means."""
    layers: list[nn.Module] = [ConvNorm(3, 16, 3, 2)]
    channels = 16
    for kernel, expanded, outputs, excited, stride in _BLOCKS:
        layers.append(_Bottleneck(channels, expanded, outputs, kernel, stride, excited))
        channels = outputs
    hidden = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(960, 1280, 1), nn.ReLU(), nn.Flatten())
    return nn.Sequential(*layers, ConvNorm(channels, 960), hidden, nn.Dropout(0.2), nn.Linear(1280, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"ghostnet": ghostnet}
