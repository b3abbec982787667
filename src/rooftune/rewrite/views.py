"""Reshape, Flatten, Squeeze and Unsqueeze: nodes that only give the same elements another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.builder import Builder

__all__ = [
    "VIEWS",
    "dims_of",
    "only_reader",
    "parted",
    "producer_of",
    "same_shape",
    "squeezed",
    "unsqueezed",
    "view_target",
]

VIEWS = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")


def dims_of(value: ir.Value | None) -> tuple[Any, ...] | None:
    """Dimensions of a value, numbers and expressions; None where the rank is not known."""
    kind = value_type(value)
    return kind.dims if isinstance(kind, TensorType) else None


def same_shape(a: ir.Value | None, b: ir.Value | None) -> bool:
    """True where two values have the same shape whatever the open dimensions are."""
    first, second = dims_of(a), dims_of(b)
    return first is not None and first == second


def producer_of(value: ir.Value | None, *ops: str) -> ir.Node | None:
    """The node of one of these standard operators whose first output this is."""
    node = None if value is None or value.index() != 0 else value.producer()
    return node if node is not None and node.domain == "" and node.op_type in ops else None


def only_reader(value: ir.Value) -> bool:
    """True where one place reads the value and it is no output of the graph."""
    return len(value.uses()) == 1 and not value.is_graph_output()


def view_target(wanted: Sequence[Any] | None, given: Sequence[Any] | None) -> list[int] | None:
    """The constant target of a Reshape from the dimensions `given` to those `wanted`.

    Numbers stand as they are, a single open dimension as -1; of several, those that stay in place are copied (0) and
    one may be left to -1. None where that is not enough, or a dimension is zero.
    """
    if wanted is None or any(d == 0 for d in wanted):
        return None
    entries = [d if isinstance(d, int) else -1 for d in wanted]
    if entries.count(-1) > 1 and given is not None:
        for i, dim in enumerate(wanted):
            if entries[i] == -1 and i < len(given) and given[i] == dim:
                entries[i] = 0
    return entries if entries.count(-1) <= 1 else None


def squeezed(new: Builder, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Squeeze, with the axes where the operator set wants them."""
    return _with_axes(new, "Squeeze", x, axes)


def unsqueezed(new: Builder, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Unsqueeze, with the axes where the operator set wants them."""
    return _with_axes(new, "Unsqueeze", x, axes)


def parted(new: Builder, x: ir.Value, axis: int, sizes: Sequence[int]) -> tuple[ir.Value, ...]:
    """The outputs of a Split, with the sizes where the operator set wants them."""
    if new.opset >= 13:
        return new.node("Split", [x, new.integers(sizes)], outputs=len(sizes), axis=axis)
    return new.node("Split", [x], outputs=len(sizes), axis=axis, split=list(sizes))


def _with_axes(new: Builder, op: str, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    if new.opset >= 13:
        return new.node(op, [x, new.integers(axes)])[0]
    return new.node(op, [x], axes=list(axes))[0]
