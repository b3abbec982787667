"""MobileNetV3: searched inverted residuals with squeeze-excitation and hard swish (Howard et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from rooftune.zoo.layers import ConvNorm, GlobalPool, InvertedResidual, SqueezeExcitation, round_channels

__all__ = ["NETWORKS"]

_EPSILON = 1e-3

# kernel, expanded, outputs, squeeze-excitation, hard swish, stride: tables 1 and 2 of the paper
_LARGE = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
_SMALL = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


def mobilenet_v3(rows: tuple[tuple[int, int, int, bool, bool, int], ...], hidden: int) -> nn.Module:
    """Width 1.0 at 224×224; `hidden` is the width of the layer before the classifier."""
    layers: list[nn.Module] = [ConvNorm(3, 16, 3, 2, activation=nn.Hardswish, epsilon=_EPSILON)]
    channels = 16
    for kernel, expanded, outputs, excited, swish, stride in rows:
        excitation = SqueezeExcitation(expanded, round_channels(expanded / 4), gate=nn.Hardsigmoid) if excited else None
        activation = nn.Hardswish if swish else nn.ReLU
        layers.append(InvertedResidual(channels, expanded, outputs, kernel, stride, activation, excitation, _EPSILON))
        channels = outputs
    last = 6 * channels
    return nn.Sequential(
        *layers,
        ConvNorm(channels, last, activation=nn.Hardswish, epsilon=_EPSILON),
        GlobalPool(),
        nn.Linear(last, hidden),
        nn.Hardswish(),
        nn.Dropout(0.2),
        nn.Linear(hidden, 1000),
    )


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "mobilenet_v3_large": partial(mobilenet_v3, _LARGE, 1280),
    "mobilenet_v3_small": partial(mobilenet_v3, _SMALL, 1024),
}
