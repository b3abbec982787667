"""Seeded random weights that keep the scale of activations and leave no part of a network without effect."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import nn

__all__ = ["FixedBuffers", "draw_weights"]


@runtime_checkable
class FixedBuffers(Protocol):
    """A module whose buffers follow from its sizes and are not drawn."""

    def initial_buffer(self, name: str) -> torch.Tensor:
        """Value of a buffer."""
        ...


_NORMS = (nn.BatchNorm2d, nn.LayerNorm)


def draw_weights(module: nn.Module, seed: int) -> nn.Module:
    """Give every weight without memory its values, in place; the order of the modules and `seed` fix them.

    Convolutions and linear layers: normal, variance 2 / inputs summed (He et al. 2015). Normalisation: gain near 1 (or
    the module's `initial_gain`), small shift, mean N(0, 0.1), variance 0.5 to 1.5. Tables and tokens: N(0, 0.5).
    Residual scales: 0.1 to 0.5.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            for name, parameter in part.named_parameters(recurse=False):
                if parameter.is_meta:
                    drawn = _parameter(part, name, parameter.shape, generator)
                    setattr(part, name, nn.Parameter(drawn, requires_grad=False))
            for name, buffer in part.named_buffers(recurse=False):
                if buffer.is_meta:
                    setattr(part, name, _buffer(part, name, buffer, generator))
    return module


def _parameter(part: nn.Module, name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    if isinstance(part, _NORMS):
        gain = getattr(part, "initial_gain", 1.0)
        return torch.randn(shape, generator=generator).mul_(0.1).add_(1.0 if name == "weight" else 0.0).mul_(gain)
    if isinstance(part, nn.Conv2d | nn.Linear):
        summed = math.prod(part.weight.shape[1:])
        scale = math.sqrt(2 / summed) if name == "weight" else 0.1
        return torch.randn(shape, generator=generator).mul_(scale)
    if name == "scale":
        return torch.rand(shape, generator=generator).mul_(0.4).add_(0.1)
    return torch.randn(shape, generator=generator).mul_(0.5)


def _buffer(part: nn.Module, name: str, buffer: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if isinstance(part, FixedBuffers):
        return part.initial_buffer(name)
    if name == "running_mean":
        return torch.randn(buffer.shape, generator=generator).mul_(0.1)
    if name == "running_var":
        return torch.rand(buffer.shape, generator=generator).add_(0.5)
    return torch.zeros(buffer.shape, dtype=buffer.dtype)
