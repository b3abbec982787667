"""Quantisation: real numbers to a narrow format and integer sums back to it."""

from __future__ import annotations

from rooftune.quantities import Count, DType

__all__ = ["quantise", "requantise"]

_INTEGERS = (
    DType.INT2, DType.UINT2, DType.INT4, DType.UINT4, DType.INT8, DType.UINT8, DType.INT16, DType.UINT16, DType.INT32,
)  # fmt: skip


def quantise(elements: Count, target: DType, *, zero_point: bool, saturate: bool = True) -> dict[str, Count]:
    """Elementwise operations of saturate(round(x / scale) + zero point); for floats, rounding is the conversion."""
    return {
        "div": elements,
        "round": elements if target in _INTEGERS else 0,
        "add": elements if zero_point else 0,
        # both ends of the range
        "compare": 2 * elements if saturate else 0,
        "convert": elements,
    }


def requantise(elements: Count, scales: Count, target: DType) -> dict[str, Count]:
    """Elementwise operations that bring wide sums to `target`: one factor x_scale · w_scale / y_scale per scale.

    The sum becomes a real number, is multiplied by its factor, rounded, moved by the zero point, held in range
    and stored narrow.
    """
    return {
        "mul": elements + scales,
        "div": scales,
        "round": elements if target in _INTEGERS else 0,
        "add": elements,
        "compare": 2 * elements,
        "convert": 2 * elements,
    }
