"""What rules on elementwise arithmetic ask of values: a constant's only number, shapes kept, rounding further on."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_of, constant_tensor
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.match import SMALL, attribute, label_of
from rooftune.verdicts import Refusal

__all__ = [
    "computes_exactly",
    "computes_in_floats",
    "is_normal",
    "joins",
    "keeps_shape",
    "known",
    "only_number",
    "refuse_cancelled",
    "refuse_rounded",
]

FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE})
"""Formats in which another order of the operations stays within the tolerance of `REASSOCIATES`."""
HALVES = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
WRAPPING = frozenset({ir.DataType.INT32, ir.DataType.INT64})
"""Whole numbers that wrap around: sums and products may be regrouped, and stay the same to the bit."""

ROUNDING = frozenset({"Floor", "Ceil", "Round", "Mod", "Equal"})
CARRYING = frozenset(
    "Add Sub Mul Div Neg Abs Clip Min Max Relu Cast Identity Reshape Transpose Squeeze Unsqueeze Flatten Expand "
    "Concat Split Slice Gather".split()
)
"""Operators behind which a value is still nearly the number it was."""
DEPTH = 4
CANCELLATION = 1e-3
"""A sum this small beside its operands has lost a good part of their digits."""


def computes_in_floats(node: ir.Node, *, halves: bool = False) -> bool:
    """True where the node's result is float32 or float64 (with `halves` also float16 or bfloat16)."""
    dtype = node.outputs[0].dtype
    return dtype in FLOATS or (halves and dtype in HALVES)


def computes_exactly(node: ir.Node) -> bool:
    """True where the node's result is of whole numbers that wrap around."""
    return node.outputs[0].dtype in WRAPPING


def known(value: ir.Value | None) -> NDArray[Any] | None:
    """The elements of a small constant nobody can replace from outside; None for anything else."""
    return None if value is None or value.is_graph_input() else constant_of(value, SMALL)


def only_number(value: ir.Value | None) -> Any:
    """The number all elements of a small constant are, as a NumPy scalar; None where there is no such number."""
    elements = known(value)
    if elements is None or not elements.size:
        return None
    first = elements.reshape(-1)[0]
    return first if (elements == first).all() else None


def keeps_shape(constant: ir.Value, x: ir.Value) -> bool:
    """True where broadcasting the constant against x gives x's shape whatever its open dimensions are."""
    shape = constant_tensor(constant).shape.dims
    if not shape:
        return True
    kind = value_type(x)
    dims = kind.dims if isinstance(kind, TensorType) else None
    if dims is None or len(shape) > len(dims):
        return False
    return all(s in (1, d) for s, d in zip(shape[::-1], dims[::-1], strict=False))


def joins(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """True where an operation on two constants gives one that is no larger than the larger of them."""
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return int(np.prod(shape)) <= max(a.size, b.size)


def is_normal(array: NDArray[Any], dtype: ir.DataType) -> bool:
    """True where every element is zero or a normal number of the element type: nothing is lost by storing it."""
    size = np.abs(array.astype(np.float64))
    return bool(np.all((size == 0) | ((size >= float(dtype.tiny)) & (size <= float(dtype.max)))))


def refuse_cancelled(a: NDArray[Any], b: NDArray[Any]) -> Refusal | None:
    """Why a + b may not be worked out ahead: it is so small beside a and b that their own rounding shows in x.

    (x + 12582912) - 12582912 rounds x to a whole number and is no mistake.
    """
    larger = np.maximum(np.abs(a), np.abs(b))
    if (np.abs(a + b) < CANCELLATION * larger).any():
        return Refusal("the two constants nearly cancel each other, so that the order of the operations matters")
    return None


def refuse_rounded(node: ir.Node) -> Refusal | None:
    """Why the node's result must stay the same to the bit: it is rounded to whole numbers a few readers on.

    There the last bit decides: 49·(1/49) is below 1 in float32 and 49/49 is not.
    """
    edge, seen = list(node.outputs), {id(node)}
    for _ in range(DEPTH):
        following: list[ir.Value] = []
        for value in edge:
            for reader, _ in value.uses():
                if _rounds(reader):
                    return Refusal(f"{label_of(reader)} rounds the result, where the last bit decides", label_of(node))
                if reader.op_type in CARRYING and id(reader) not in seen:
                    seen.add(id(reader))
                    following += reader.outputs
        edge = following
    return None


def _rounds(node: ir.Node) -> bool:
    if node.domain not in ("", "ai.onnx"):
        return False
    if node.op_type != "Cast":
        return node.op_type in ROUNDING
    return not ir.DataType(attribute(node, "to", ir.DataType.FLOAT)).is_floating_point()
