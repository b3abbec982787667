"""Scale, zero point and integer type of QuantizeLinear and DequantizeLinear, to tell when two of them agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.graph.constants import constant_of
from rooftune.rewrite.match import SMALL, attribute

__all__ = ["DOMAINS", "QUANTISED_TYPES", "Quantisation", "dequantized", "quantisation"]

DOMAINS = ("", "com.microsoft")
"""ONNX Runtime's own QuantizeLinear and DequantizeLinear compute what the standard ones do, for more types."""

QUANTISED_TYPES = {
    ir.DataType.INT8: (-128, 127),
    ir.DataType.UINT8: (0, 255),
    ir.DataType.INT16: (-32768, 32767),
    ir.DataType.UINT16: (0, 65535),
}
"""Integer types for which float32 arithmetic gives every number back: at most 2^16 steps, within 24 bits."""


@dataclass(frozen=True)
class Quantisation:
    """How real numbers stand for integers: real = (integer - zero_point) · scale.

    scale, zero  arrays without dimensions for a whole tensor, else along `axis`
    """

    dtype: ir.DataType
    scale: NDArray[np.float32]
    zero: NDArray[np.int64]
    axis: int | None

    def agrees(self, other: Quantisation) -> bool:
        """True where both stand for the same numbers, bit by bit."""
        return (
            (self.dtype, self.axis) == (other.dtype, other.axis)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero, other.zero)
        )

    def turned(self, axis: int | None) -> Quantisation:
        """The same along another axis."""
        return Quantisation(self.dtype, self.scale, self.zero, axis)

    def quantized(self, number: float) -> NDArray[np.float64]:
        """The integers that stand for a number, as QuantizeLinear rounds and saturates it."""
        lowest, highest = QUANTISED_TYPES[self.dtype]
        with np.errstate(over="ignore"):
            steps = np.rint(np.float32(number) / self.scale)
        found: NDArray[np.float64] = np.clip(steps.astype(np.float64) + self.zero, lowest, highest)
        return found


def quantisation(node: ir.Node, rank: int | None) -> Quantisation | None:
    """The parameters of a QuantizeLinear or DequantizeLinear of a tensor of this rank.

    None where they are computed, blocked, not float32, not one of the types above, or where a scale is so small or
    large that arithmetic with it is not exact enough.
    """
    if node.domain not in DOMAINS or len(node.inputs) < 2:
        return None
    zero_given = node.inputs[2] if len(node.inputs) > 2 else None
    real = node.inputs[0] if node.op_type == "QuantizeLinear" else node.outputs[0]
    dtype = _integer_type(node, zero_given)
    # ONNX Runtime's own operators, whose results shape inference does not know, take scale and data of one type.
    if dtype is None or real is None or (node.domain == "" and real.dtype != ir.DataType.FLOAT):
        return None
    if attribute(node, "block_size", 0) or attribute(node, "precision", 0) not in (0, ir.DataType.FLOAT):
        return None
    if any(v is not None and v.is_graph_input() for v in node.inputs[1:]):
        return None
    scale = constant_of(node.inputs[1], SMALL)
    zero = np.zeros((), np.int64) if zero_given is None else constant_of(zero_given, SMALL)
    if scale is None or zero is None or scale.dtype != np.float32 or zero.size not in (1, scale.size):
        return None
    if not ((scale >= 1e-30) & (scale <= 1e30)).all():
        return None
    axis: int | None = None
    if scale.size == 1:
        scale, zero = scale.reshape(()), zero.reshape(-1)[:1].reshape(())
    else:
        axis = int(attribute(node, "axis", 1))
        if rank is None:
            return None
        axis += rank if axis < 0 else 0
        scale, zero = scale.reshape(-1), np.broadcast_to(zero.reshape(-1), scale.size)
    return Quantisation(dtype, scale, zero.astype(np.int64), axis)


def _integer_type(node: ir.Node, zero: ir.Value | None) -> ir.DataType | None:
    """The integer type of the quantised side, where it is one whose arithmetic is exact."""
    integer = node.outputs[0] if node.op_type == "QuantizeLinear" else node.inputs[0]
    # Of ONNX Runtime's own operators only the zero point's type is certain.
    known = integer if node.domain == "" else zero
    dtype = None if known is None else known.dtype
    return dtype if dtype in QUANTISED_TYPES else None


def dequantized(value: ir.Value | None) -> ir.Node | None:
    """The DequantizeLinear that makes a value."""
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type == "DequantizeLinear" and node.domain in DOMAINS else None
