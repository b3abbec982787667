"""EfficientNet: inverted residuals with squeeze-excitation and SiLU, scaled together (Tan and Le 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool, InvertedResidual, SqueezeExcitation

__all__ = ["NETWORKS"]

# expansion, kernel, stride of the first, output channels, repeats
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def efficientnet_b0() -> nn.Module:
    """The unscaled network at 224×224. Squeeze widths are a quarter of a block's input, not of its expansion."""
    layers: list[nn.Module] = [ConvNorm(3, 32, 3, 2, activation=nn.SiLU)]
    channels = 32
    for expansion, kernel, first_stride, outputs, repeats in _STAGES:
        for index in range(repeats):
            expanded = expansion * channels
            excitation = SqueezeExcitation(expanded, channels // 4, activation=nn.SiLU)
            stride = first_stride if index == 0 else 1
            layers.append(InvertedResidual(channels, expanded, outputs, kernel, stride, nn.SiLU, excitation))
            channels = outputs
    head = ConvNorm(channels, 1280, activation=nn.SiLU)
    return nn.Sequential(*layers, head, GlobalPool(), nn.Dropout(0.2), nn.Linear(1280, 1000))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"efficientnet_b0": efficientnet_b0}
