"""Operators that keep values between two bounds — Clip, Relu, Max and Min with a number — read and written as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from rooftune.graph.constants import is_constant
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.elementwise import keeps_shape, only_number
from rooftune.rewrite.match import attribute

__all__ = ["Bounds", "bounds_of", "can_be_clipped", "within", "write_bounds"]

Bounds = tuple[float, float]
"""Lower and upper bound, the lower one not above the upper one; infinite where there is none."""

D = ir.DataType
SINCE_6 = frozenset({D.FLOAT})
SINCE_12 = frozenset({D.FLOAT, D.FLOAT16, D.DOUBLE, D.INT8, D.UINT8, D.INT32, D.UINT32, D.INT64, D.UINT64})
"""Element types engines run Clip on."""


def can_be_clipped(dtype: ir.DataType | None, opset: int) -> bool:
    """True where Clip of that operator set takes the element type."""
    return dtype in (SINCE_12 if opset >= 12 else SINCE_6)


def bounds_of(node: ir.Node) -> tuple[ir.Value, Bounds] | None:
    """The bounded value and the bounds; None where the node does something else or its bounds are not known.

    A bound that is left out of Clip counts as the largest number of the element type: engines bring infinities back
    to it, which Relu, Max and Min do not.
    """
    inputs = node.inputs
    dtype = node.outputs[0].dtype
    if node.domain or not inputs or inputs[0] is None or dtype not in SINCE_12 or _open(node):
        return None
    if node.op_type == "Relu":
        return inputs[0], (0.0, np.inf)
    if node.op_type == "Clip":
        bounds = _clip_bounds(node, dtype)
        return None if bounds is None else (inputs[0], bounds)
    if node.op_type not in ("Max", "Min") or len(inputs) != 2 or inputs[1] is None:
        return None
    for x, c in ((inputs[0], inputs[1]), (inputs[1], inputs[0])):
        number = only_number(c) if not is_constant(x) else None
        if number is not None and keeps_shape(c, x):
            exact = number.item()
            return x, ((exact, np.inf) if node.op_type == "Max" else (-np.inf, exact))
    return None


def _clip_bounds(node: ir.Node, dtype: ir.DataType) -> Bounds | None:
    found: list[Any] = []
    for place, name, default in ((1, "min", dtype.min), (2, "max", dtype.max)):
        given = node.inputs[place] if len(node.inputs) > place else None
        number = only_number(given) if given is not None else attribute(node, name, default)
        if number is None:
            return None
        found.append(number.item() if isinstance(number, np.generic) else number)
    return (found[0], found[1]) if found[0] <= found[1] else None


def within(inner: Bounds, outer: Bounds) -> Bounds:
    """The bounds that do what the inner ones and then the outer ones do."""
    return min(max(inner[0], outer[0]), outer[1]), max(min(inner[1], outer[1]), outer[0])


def write_bounds(new: Builder, x: ir.Value, bounds: Bounds, *, hint: str = "bound") -> ir.Value | None:
    """The operator that keeps a value within bounds, as the root does; None where none of the operator set does."""
    dtype = new.root.outputs[0].dtype  # that of x, which is not known where x is an input of a function
    assert dtype is not None
    low, high = bounds
    if high == np.inf or low == -np.inf:
        if low == -np.inf and high == np.inf:
            return None
        if bounds == (0, np.inf) and dtype.is_floating_point():
            made: ir.Value = new.Relu(x)
            return made
        op, number = ("Max", low) if high == np.inf else ("Min", high)
        return new.node(op, [x, _number(new, number, dtype, hint)])[0]
    if not can_be_clipped(dtype, new.opset):
        return None
    floor = None if low == dtype.min else low
    ceiling = None if high == dtype.max else high
    if new.opset < 11:
        return new.node("Clip", [x], min=_attribute(floor), max=_attribute(ceiling))[0]
    given = [None if b is None else _number(new, b, dtype, hint) for b in (floor, ceiling)]
    return new.node("Clip", [x, *given])[0]


def _open(node: ir.Node) -> bool:
    """True where an attribute is given by whoever calls the function around the node."""
    return any(a.is_ref() for a in node.attributes.values())


def _attribute(bound: float | None) -> float | None:
    return None if bound is None else float(bound)


def _number(new: Builder, number: float, dtype: ir.DataType, hint: str) -> ir.Value:
    return new.constant(np.asarray(number, dtype.numpy()), hint=hint)
