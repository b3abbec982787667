"""Sliding windows: output sizes' taps, and how many of them fall on padding."""

from __future__ import annotations

from collections.abc import Sequence

from rooftune.quantities import Count, Dim, ceil_div, larger

__all__ = ["resolve_pads", "taps_inside"]


def resolve_pads(
    auto_pad: str,
    pads: Sequence[int],
    inputs: Sequence[Dim],
    outputs: Sequence[Dim],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[Dim]:
    """Padding before each spatial axis, with `auto_pad` worked out (SAME_UPPER/SAME_LOWER/VALID/NOTSET)."""
    if auto_pad in ("NOTSET", ""):
        return list(pads[: len(kernel)]) if pads else [0] * len(kernel)
    if auto_pad == "VALID":
        return [0] * len(kernel)
    before: list[Dim] = []
    for size, out, k, s, d in zip(inputs, outputs, kernel, strides, dilations, strict=True):
        total = larger(0, (out - 1) * s + (k - 1) * d + 1 - size)
        before.append(total // 2 if auto_pad == "SAME_UPPER" else ceil_div(total, 2))
    return before


def taps_inside(size: Dim, out: Dim, kernel: int, stride: int, dilation: int, before: Dim) -> Count | None:
    """Taps of one axis that meet real elements, summed over the outputs; None when a size is open."""
    if not (isinstance(size, int) and isinstance(out, int) and isinstance(before, int)):
        return None
    inside = 0
    for tap in range(kernel):
        # output o reads element o·stride + tap·dilation − before; count the o for which it exists
        shift = tap * dilation - before
        first = max(0, -(shift // stride))
        last = min(out - 1, (size - 1 - shift) // stride)
        inside += max(0, last - first + 1)
    return inside
