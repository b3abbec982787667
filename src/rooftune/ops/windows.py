"""Sliding windows: the taps of a convolution, and how many of them fall on padding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rooftune.ops.types import TensorType
from rooftune.quantities import Count, Dim, ceil_div, larger, product, smaller

__all__ = ["convolution_macs", "resolve_pads", "taps_inside", "transposed_macs", "window_taps"]


def convolution_macs(
    x: TensorType,
    w: TensorType,
    y: TensorType,
    *,
    auto_pad: str = "NOTSET",
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
    dilations: Sequence[int] = (),
) -> tuple[Count, Count]:
    """MACs of a convolution with every tap counted, and the part of them that falls on padding.

    Shapes: x (N, Cin, sizes…), w (Cout, Cin / groups, kernel…), y (N, Cout, sizes…).
    """
    kernel = w.shape[2:]
    strides = strides or [1] * len(kernel)
    dilations = dilations or [1] * len(kernel)
    # every output element sums (Cin / groups) · kernel taps: the weights hold just that many per channel
    macs = y.elements * product(w.shape[1:])
    before = resolve_pads(auto_pad, pads, x.shape[2:], y.shape[2:], kernel, strides, dilations)
    axes = zip(x.shape[2:], y.shape[2:], kernel, strides, dilations, before, strict=True)
    # the window is a box, so the taps of each axis multiply
    executed = product([y.shape[0], y.shape[1], w.shape[1], *(taps_inside(*axis) for axis in axes)])
    return macs, macs - executed


def transposed_macs(
    x: TensorType,
    w: TensorType,
    y: TensorType,
    *,
    auto_pad: str = "NOTSET",
    pads: Sequence[int] = (),
    strides: Sequence[int] = (),
    dilations: Sequence[int] = (),
    output_padding: Sequence[int] = (),
    output_shape: Sequence[int] = (),
) -> tuple[Count, Count]:
    """MACs of a transposed convolution with every tap counted, and the part that lands on the cropped border.

    Shapes: x (N, Cin, sizes…), w (Cin, Cout / groups, kernel…), y (N, Cout, sizes…).
    """
    kernel = w.shape[2:]
    strides = strides or [1] * len(kernel)
    dilations = dilations or [1] * len(kernel)
    extra = output_padding or [0] * len(kernel)
    # every input element is multiplied into (Cout / groups) · kernel outputs
    macs = x.elements * product(w.shape[1:])
    if auto_pad in ("NOTSET", "") and not output_shape:
        before: list[Dim] = list(pads[: len(kernel)]) if pads else [0] * len(kernel)
    elif auto_pad == "VALID" and not output_shape:
        before = [0] * len(kernel)
    else:
        spans = zip(x.shape[2:], y.shape[2:], kernel, strides, dilations, extra, strict=True)
        before = [_cropped_before(auto_pad, *span) for span in spans]
    # input i and tap t land on output i·stride + t·dilation − before: a convolution with the sizes exchanged
    axes = zip(y.shape[2:], x.shape[2:], kernel, strides, dilations, before, strict=True)
    executed = product([x.shape[0], x.shape[1], w.shape[1], *(taps_inside(*axis) for axis in axes)])
    return macs, macs - executed


def window_taps(kernel: Sequence[int]) -> int:
    """Taps of one pooling window; those on padding count too. Raises ValueError where the node has no kernel."""
    if len(kernel) == 0:
        raise ValueError("kernel_shape is missing")
    taps: int = product(kernel)
    return taps


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


@lru_cache(maxsize=4096)
def taps_inside(size: Dim, out: Dim, kernel: int, stride: int, dilation: int, before: Dim) -> Count:
    """Taps of one axis that meet real elements, summed over the outputs; sizes may be open.

    Kept between calls, because networks repeat their layers and open sizes are slow to compare.
    """
    inside: Count = 0
    for tap in range(kernel):
        # output o reads element o·stride + tap·dilation − before; count the o for which it exists
        shift = tap * dilation - before
        first = larger(0, -(shift // stride))
        last = smaller(out - 1, (size - 1 - shift) // stride)
        inside = inside + larger(0, last - first + 1)
    return inside


def _cropped_before(auto_pad: str, size: Dim, out: Dim, kernel: int, stride: int, dilation: int, extra: int) -> Dim:
    """What a transposed convolution drops before one axis to come out at the size asked for."""
    total = larger(0, stride * (size - 1) + extra + (kernel - 1) * dilation + 1 - out)
    return total // 2 if auto_pad == "SAME_UPPER" else ceil_div(total, 2)
