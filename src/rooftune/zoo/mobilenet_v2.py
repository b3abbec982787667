"""MobileNetV2: inverted residuals with linear bottlenecks (Sandler et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool, InvertedResidual

__all__ = ["NETWORKS"]

# expansion, output channels, repeats, stride of the first
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2() -> nn.Module:
    """Width 1.0 at 224×224."""
    layers: list[nn.Module] = [ConvNorm(3, 32, 3, 2, activation=nn.ReLU6)]
    channels = 32
    for expansion, outputs, repeats, first_stride in _STAGES:
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            layers.append(InvertedResidual(channels, expansion * channels, outputs, 3, stride, nn.ReLU6))
            channels = outputs
    head = ConvNorm(channels, 1280, activation=nn.ReLU6)
    return nn.Sequential(*layers, head, GlobalPool(), nn.Dropout(0.2), nn.Linear(1280, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"mobilenet_v2": mobilenet_v2}
