"""Swin: attention inside windows that shift from block to block (Liu et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from rooftune.zoo.layers import SelfAttention

__all__ = ["NETWORKS"]

_WINDOW = 7


def _offsets() -> torch.Tensor:
    """For each pair of places in a window, the row of the bias table that their relative position has."""
    side = torch.arange(_WINDOW)
    rows, columns = (grid.flatten() for grid in torch.meshgrid(side, side, indexing="ij"))
    down = rows[:, None] - rows[None, :] + _WINDOW - 1
    right = columns[:, None] - columns[None, :] + _WINDOW - 1
    return down * (2 * _WINDOW - 1) + right


def _apart(size: int, shift: int) -> torch.Tensor:
    """[windows, 1, S, S]: true between places that only the cyclic shift brought together."""
    side = torch.zeros(size)
    side[size - _WINDOW : size - shift] = 1
    side[size - shift :] = 2
    regions = _windows((3 * side[:, None] + side[None, :])[None, :, :, None]).squeeze(-1)
    return (regions[:, :, None] != regions[:, None, :])[:, None]


def _windows(x: torch.Tensor) -> torch.Tensor:
    """[N, H, W, C] to [N · windows, places, C]."""
    batch, height, width, channels = x.shape
    grid = x.reshape(batch, height // _WINDOW, _WINDOW, width // _WINDOW, _WINDOW, channels)
    return grid.transpose(2, 3).reshape(-1, _WINDOW * _WINDOW, channels)


def _plane(windows: torch.Tensor, size: int) -> torch.Tensor:
    """Inverse of `_windows` for a square plane."""
    channels = windows.shape[-1]
    grid = windows.reshape(-1, size // _WINDOW, size // _WINDOW, _WINDOW, _WINDOW, channels)
    return grid.transpose(2, 3).reshape(-1, size, size, channels)


class _Block(nn.Module):
    offsets: torch.Tensor
    apart: torch.Tensor

    def __init__(self, width: int, heads: int, size: int, shift: int) -> None:
        super().__init__()
        self.size = size
        self.shift = shift
        self.norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.bias_table = nn.Parameter(torch.empty((2 * _WINDOW - 1) ** 2, heads))
        self.register_buffer("offsets", self.initial_buffer("offsets"), persistent=False)
        if shift:
            self.register_buffer("apart", self.initial_buffer("apart"), persistent=False)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def initial_buffer(self, name: str) -> torch.Tensor:
        """Value of a buffer, which depends on sizes alone."""
        return _offsets() if name == "offsets" else _apart(self.size, self.shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        if self.shift:
            y = y.roll((-self.shift, -self.shift), dims=(1, 2))
        places = _WINDOW * _WINDOW
        bias = self.bias_table[self.offsets.flatten()].reshape(places, places, -1).permute(2, 0, 1)[None]
        if self.shift:
            # a score lowered by 100 is nothing after the softmax
            bias = torch.where(self.apart, bias - 100.0, bias).repeat(x.shape[0], 1, 1, 1)
        y = _plane(self.attention(_windows(y), bias), self.size)
        if self.shift:
            y = y.roll((self.shift, self.shift), dims=(1, 2))
        x = x + y
        z: torch.Tensor = x + self.perceptron(x)
        return z


class _Merge(nn.Module):
    """Join 2×2 places into one and halve their channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        y: torch.Tensor = self.reduce(self.norm(torch.cat(corners, dim=-1)))
        return y


class _Swin(nn.Module):
    def __init__(self, width: int, blocks: tuple[int, ...], heads: tuple[int, ...]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        layers: list[nn.Module] = [nn.LayerNorm(width)]
        size = 56
        for stage, (count, number) in enumerate(zip(blocks, heads, strict=True)):
            if stage > 0:
                layers.append(_Merge(width))
                width, size = 2 * width, size // 2
            for index in range(count):
                # one window covers the whole plane of the last stage: nothing to shift
                shift = _WINDOW // 2 if index % 2 and size > _WINDOW else 0
                layers.append(_Block(width, number, size, shift))
        self.layers = nn.Sequential(*layers, nn.LayerNorm(width))
        self.classifier = nn.Linear(width, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.classifier(self.layers(self.patches(x).permute(0, 2, 3, 1)).mean(dim=(1, 2)))
        return y


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {"swin_tiny": partial(_Swin, 96, (2, 2, 6, 2), (3, 6, 12, 24))}
