"""MobileNetV1: depthwise separable convolutions (Howard et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool

__all__ = ["NETWORKS"]

# output channels and stride of each depthwise separable pair
_PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def mobilenet_v1() -> nn.Module:
    """Width 1.0 at 224×224."""
    layers: list[nn.Module] = [ConvNorm(3, 32, 3, 2)]
    channels = 32
    for outputs, stride in _PAIRS:
        layers += [ConvNorm(channels, channels, 3, stride, channels), ConvNorm(channels, outputs)]
        channels = outputs
    return nn.Sequential(*layers, GlobalPool(), nn.Linear(channels, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"mobilenet_v1": mobilenet_v1}
