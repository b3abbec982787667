"""Constants with one number per channel, row or column, and the arithmetic that multiplies or adds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["along_axis", "factors_of", "fits", "is_float", "shifts_of"]

Floats = NDArray[np.float64]


def is_float(value: ir.Value | None) -> bool:
    """True for floating-point tensors, where factors may change places; integers overflow and round."""
    return value is not None and value.dtype is not None and value.dtype.is_floating_point()


def fits(dims: Sequence[Any] | None, shape: Sequence[Any]) -> bool:
    """True where a tensor with these dimensions surely keeps them when one of `shape` is added or multiplied to it."""
    if dims is None:
        return not shape
    aligned = list(dims)[len(dims) - len(shape) :] if len(shape) <= len(dims) else None
    return aligned is not None and all(b == 1 or a == b for a, b in zip(aligned, shape, strict=True))


def along_axis(array: NDArray[Any] | None, rank: int | None, axis: int, size: int) -> Floats | None:
    """The `size` numbers by which a constant meets a tensor of this rank, one per index of the axis.

    None where it differs along another axis, would make the tensor larger, is not finite, or is not known. Without a
    rank only single numbers are of use.
    """
    if array is None or array.dtype.kind in "bOc" or array.ndim > (1 if rank is None else rank):
        return None
    if array.size == 1:
        found = np.full(size, array.reshape(()), np.float64)
    else:
        if rank is None:
            return None
        wide = array.reshape((1,) * (rank - array.ndim) + array.shape)
        if array.size != size or wide.shape[axis] != size:
            return None
        found = wide.reshape(-1).astype(np.float64)
    return found if np.isfinite(found).all() else None


def factors_of(step: ir.Node, array: NDArray[Any] | None, rank: int | None, axis: int, size: int) -> Floats | None:
    """What a Mul or Div by a constant, or a Neg, multiplies each index of the axis by; None as for `along_axis`."""
    if step.op_type == "Neg":
        return np.full(size, -1.0)
    found = along_axis(array, rank, axis, size)
    if found is None or step.op_type == "Mul":
        return found
    with np.errstate(divide="ignore", over="ignore"):
        inverse: Floats = 1.0 / found
    return inverse if np.isfinite(inverse).all() else None


def shifts_of(step: ir.Node, array: NDArray[Any] | None, rank: int | None, axis: int, size: int) -> Floats | None:
    """What an Add of a constant, or a Sub with one on the right, adds to each index; None as for `along_axis`."""
    found = along_axis(array, rank, axis, size)
    return -found if found is not None and step.op_type == "Sub" else found
