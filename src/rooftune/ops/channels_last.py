"""Tensors whose channels are the last axis, seen in the order the formulas use."""

from __future__ import annotations

from dataclasses import replace

from rooftune.ops.types import TensorType

__all__ = ["channels_first"]


def channels_first(t: TensorType) -> TensorType:
    """The type of the same tensor with axes N, C, spatial in place of N, spatial, C."""
    batch, *spatial, channels = t.shape
    return replace(t, dims=(batch, channels, *spatial))
