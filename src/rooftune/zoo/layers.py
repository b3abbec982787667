"""Blocks that more than one family of networks is made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

__all__ = [
    "Activation",
    "ConvNorm",
    "GlobalPool",
    "InvertedResidual",
    "SelfAttention",
    "SqueezeExcitation",
    "round_channels",
]

Activation = Callable[[], nn.Module]


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch normalisation and, unless `activation` is None, an activation.

    Padding keeps the size at stride 1.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = nn.ReLU,
        epsilon: float = 1e-5,
    ) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs, eps=epsilon)]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)


class GlobalPool(nn.Sequential):
    """Mean over the plane: [N, C, H, W] to [N, C]."""

    def __init__(self) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten())


class SqueezeExcitation(nn.Module):
    """Weighs channels by a gate computed from their means (Hu et al. 2018)."""

    def __init__(
        self, channels: int, squeezed: int, activation: Activation = nn.ReLU, gate: Activation = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            activation(),
            nn.Conv2d(squeezed, channels, 1),
            gate(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x * self.gate(x)
        return y


class InvertedResidual(nn.Module):
    """Pointwise expansion, depthwise convolution, linear pointwise projection, and a shortcut where shapes allow.

    Sandler et al. 2018. `excitation` goes between the depthwise convolution and the projection. There is no
    expansion where `expanded` equals `inputs`.
    """

    def __init__(
        self,
        inputs: int,
        expanded: int,
        outputs: int,
        kernel: int,
        stride: int,
        activation: Activation,
        excitation: nn.Module | None = None,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if expanded != inputs:
            layers.append(ConvNorm(inputs, expanded, activation=activation, epsilon=epsilon))
        layers.append(ConvNorm(expanded, expanded, kernel, stride, expanded, activation, epsilon))
        if excitation is not None:
            layers.append(excitation)
        layers.append(ConvNorm(expanded, outputs, activation=None, epsilon=epsilon))
        self.body = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.body(x)
        return x + y if self.shortcut else y


class SelfAttention(nn.Module):
    """Multi-head self-attention over [N, S, C], an optional bias added to the scores [N, heads, S, S].

    Scores and their use are explicit matrix products, so that every counter sees them.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.projections = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        batch, length, width = x.shape
        query, key, value = (
            part.reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.projections(x).chunk(3, dim=-1)
        )
        scores = torch.matmul(query * self.scale, key.transpose(-2, -1))
        if bias is not None:
            scores = scores + bias
        mixed = torch.matmul(scores.softmax(dim=-1), value)
        joined: torch.Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return joined


def round_channels(channels: float, multiple: int = 8) -> int:
    """Nearest multiple, raised by one step where rounding would lose more than a tenth (MobileNet's rule)."""
    rounded = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * channels else rounded
