"""The algebra of Gemm, alpha·A'·B' + beta·C: its columns, its bias as one number per column, its weight's axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.per_channel import along_axis
from rooftune.rewrite.weights import weight_dims

__all__ = ["columns_of", "gemm_bias", "is_row", "reduction_of", "scaled_columns", "scaled_rows", "with_bias"]

Floats = NDArray[np.float64]


def columns_of(node: ir.Node) -> Any:
    """The number of columns a Gemm or a MatMul of two matrices gives: a number or an expression; None if not known."""
    dims = weight_dims(node)
    return None if dims is None or len(dims) != 2 else dims[0 if attribute(node, "transB", 0) else 1]


def reduction_of(node: ir.Node) -> Any:
    """The length of the sums of a Gemm or a MatMul of two matrices; None if not known."""
    dims = weight_dims(node)
    return None if dims is None or len(dims) != 2 else dims[1 if attribute(node, "transB", 0) else 0]


def is_row(dims: Sequence[Any] | None, columns: Any) -> bool:
    """True where a tensor of these dimensions adds one number per column, or one for all, to a matrix."""
    if dims is None or len(dims) > 2 or columns is None:
        return False
    return (not dims or dims[-1] == columns or dims[-1] == 1) and (len(dims) < 2 or dims[0] == 1)


def gemm_bias(m: Match, columns: int) -> Floats | None:
    """beta·C of the matched Gemm `m.gemm` with bias `m.bias`, one number per column; None where rows differ."""
    if m.found.get("bias") is None:
        return np.zeros(columns)
    found = along_axis(m.array("bias"), 2, 1, columns)
    return None if found is None else found * float(attribute(m.gemm, "beta", 1.0))


def scaled_columns(m: Match, new: Builder, gain: Floats) -> ir.Value:
    """The constant weight `m.w` of `m.gemm` with every column of the result multiplied by its gain."""
    transposed = bool(attribute(m.gemm, "transB", 0))
    return new.derive(lambda w: w * (gain[:, None] if transposed else gain), m.w)


def scaled_rows(m: Match, new: Builder, gain: Floats) -> ir.Value:
    """The constant weight `m.w` of `m.gemm` with every column of its input multiplied by its gain."""
    transposed = bool(attribute(m.gemm, "transB", 0))
    return new.derive(lambda w: w * (gain if transposed else gain[:, None]), m.w)


def with_bias(m: Match, new: Builder, weight: ir.Value, bias: Floats, like: ir.Value) -> ir.Value:
    """`m.a` times this weight plus this bias per column: the Gemm, or the MatMul of matrices, that was matched."""
    constant = new.constant(bias, like=like)
    if m.gemm.op_type == "MatMul":
        return new.Gemm(m.a, weight, constant)
    return new.Gemm(m.a, weight, constant, like=m.gemm, beta=None)
