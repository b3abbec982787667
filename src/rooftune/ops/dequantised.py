"""Operators on quantised tensors: by definition they compute on real numbers and quantise the result.

Kernels shorten this (tables of 256 entries, integer sums); the counts are those of the definition, so that an
operator and the DequantizeLinear → operator → QuantizeLinear it stands for cost the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rooftune.ops.quantisation import quantise
from rooftune.ops.tally import tally
from rooftune.ops.types import TensorType
from rooftune.quantities import Count

__all__ = ["dequantise", "quantised"]


def dequantise(elements: Count, *, zero_point: bool) -> dict[str, Count]:
    """Elementwise operations of (x − zero point) · scale."""
    return {"convert": elements, "add": elements if zero_point else 0, "mul": elements}


def quantised(
    operands: Iterable[tuple[TensorType, bool]],
    arithmetic: Mapping[str, Count],
    result: TensorType,
    result_zero_point: bool,
) -> dict[str, Count]:
    """Elementwise operations of `arithmetic` between dequantised operands and a quantised result.

    `operands`: each tensor with whether it has a zero point.
    """
    entering = [dequantise(t.elements, zero_point=has) for t, has in operands]
    return tally(*entering, arithmetic, quantise(result.elements, result.dtype, zero_point=result_zero_point))
