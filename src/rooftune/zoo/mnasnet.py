"""MNASNet: inverted residuals found by a search that measured latency on a phone (Tan et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool, InvertedResidual

__all__ = ["NETWORKS"]

# kernel, expansion, output channels, repeats, stride of the first (the variant without squeeze-excitation)
_STAGES = (
    (3, 3, 24, 3, 2),
    (5, 3, 40, 3, 2),
    (5, 6, 80, 3, 2),
    (3, 6, 96, 2, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


def mnasnet() -> nn.Module:
    """MNASNet-B1, width 1.0 at 224×224."""
    layers: list[nn.Module] = [
        ConvNorm(3, 32, 3, 2),
        ConvNorm(32, 32, 3, 1, 32),
        ConvNorm(32, 16, activation=None),
    ]
    channels = 16
    for kernel, expansion, outputs, repeats, first_stride in _STAGES:
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            layers.append(InvertedResidual(channels, expansion * channels, outputs, kernel, stride, nn.ReLU))
            channels = outputs
    return nn.Sequential(*layers, ConvNorm(channels, 1280), GlobalPool(), nn.Dropout(0.2), nn.Linear(1280, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"mnasnet1_0": mnasnet}
