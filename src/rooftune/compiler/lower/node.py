"""What everybody asks of a node: attributes, weights, windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from rooftune.compiler.lowering import Lowering
from rooftune.graph.constants import is_constant
from rooftune.verdicts import Refusal

__all__ = ["Take", "Window", "attribute", "input_of", "numbers", "weights", "window"]

Take = Callable[[Lowering, ir.Node], Refusal | None]
"""Takes a node in as operations; or says why there is none for it."""

Pair = tuple[int, int]
Window = tuple[Pair, Pair, tuple[int, int, int, int], Pair]
"""Kernel, strides, pads (above, left, below, right) and dilations of rows and columns."""


def attribute(node: ir.Node, name: str, default: Any) -> Any:
    """The value of an attribute, texts as str."""
    found = node.attributes.get(name)
    value = default if found is None else found.value
    return value.decode() if isinstance(value, bytes) else value


def input_of(node: ir.Node, place: int) -> ir.Value | None:
    """An input; None where it is absent."""
    return node.inputs[place] if len(node.inputs) > place else None


def weights(node: ir.Node, places: Mapping[str, int]) -> Refusal | None:
    """A refusal where an input is no fp32 constant."""
    for what, place in places.items():
        value = input_of(node, place)
        if value is not None and (not is_constant(value) or value.is_graph_input() or value.dtype != ir.DataType.FLOAT):
            return Refusal(f"its {what} is no fp32 constant", node.name or "")
    return None


def numbers(node: ir.Node, name: str, count: int, default: int = 1) -> tuple[int, ...]:
    """Kernel sizes, strides or dilations of every axis."""
    return tuple(int(n) for n in attribute(node, name, (default,) * count))


def window(node: ir.Node, dims: Sequence[int], kernel: Sequence[int]) -> Window | Refusal:
    """How a kernel moves over the last two (or one) dimensions; one dimension is a single row."""
    axes = len(dims) - 2
    if axes not in (1, 2) or len(kernel) != axes:
        return Refusal(f"it moves over {axes} dimensions")
    strides, dilations = numbers(node, "strides", axes), numbers(node, "dilations", axes)
    pads = _pads(node, dims[2:], kernel, strides, dilations)
    if min(pads) < 0:
        return Refusal("its pads are negative")
    if axes == 1:
        return (1, kernel[0]), (1, strides[0]), (0, pads[0], 0, pads[1]), (1, dilations[0])
    return (
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (pads[0], pads[1], pads[2], pads[3]),
        (
            dilations[0],
            dilations[1],
        ),
    )


def _pads(
    node: ir.Node, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """All beginnings, then all ends."""
    auto = attribute(node, "auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        return numbers(node, "pads", 2 * len(sizes), 0)
    if auto == "VALID":
        return (0,) * (2 * len(sizes))
    both = []
    for size, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
        whole = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        small = whole // 2
        both.append((small, whole - small) if auto == "SAME_UPPER" else (whole - small, small))
    return (*(b[0] for b in both), *(b[1] for b in both))
