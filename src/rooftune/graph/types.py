"""Types of graph values in Rooftune's own words, and back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import onnx_ir as ir

from rooftune.ops.types import OptionalType, SequenceType, TensorType, ValueType
from rooftune.quantities import Dim, DType, symbol

__all__ = ["dim_of", "dim_of_text", "dtype_of", "ir_dim", "value_type"]

_DTYPES = {
    member: DType[_name]
    for member in ir.DataType
    for _name in ({"FLOAT": "FLOAT32", "DOUBLE": "FLOAT64"}.get(member.name, member.name),)
    if _name in DType.__members__
}

_CONTAINERS = (ir.SequenceType, ir.OptionalType)
_PARSEABLE = re.compile(r"[A-Za-z0-9_.+\-*/%(), ]{1,400}")
_TOO_MUCH = re.compile(r"\*\*|[0-9]{16}|sqrt|\({8}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def dtype_of(data_type: ir.DataType | int | None) -> DType | None:
    """Element type; None where it is not known or not ours."""
    return None if data_type is None else _DTYPES.get(data_type)  # type: ignore[call-overload]  # members are numbers


@lru_cache(maxsize=65536)
def dim_of_text(text: str) -> Dim:
    """A dimension written as a name or as arithmetic over names; text that is neither is a name as it stands."""
    if _NAME.fullmatch(text):
        return symbol(text)
    if not _PARSEABLE.fullmatch(text) or _TOO_MUCH.search(text):
        return symbol(text)
    import sympy

    try:
        parsed = ir.SymbolicDim(text)._expr  # the parser of onnx_ir, which evaluates no code
        if parsed is None or (not parsed.free_symbols and not parsed.is_Integer):
            return symbol(text)
        if parsed.is_Integer:
            return int(parsed) if parsed >= 0 else symbol(text)
        if parsed.has(sympy.nan, sympy.zoo, sympy.oo):
            return symbol(text)
        return parsed.xreplace({s: symbol(s.name) for s in parsed.free_symbols})
    except (ValueError, TypeError, ArithmeticError, RecursionError, AttributeError):
        return symbol(text)


def dim_of(dim: int | ir.SymbolicDim, fallback: str) -> Dim:
    """A dimension of onnx_ir as a number or an expression; one without a name gets `fallback`."""
    if isinstance(dim, int):
        return dim
    return symbol(fallback) if dim.value is None else dim_of_text(dim.value)


def ir_dim(dim: Dim) -> int | ir.SymbolicDim:
    """The other way round."""
    if isinstance(dim, int):
        return dim
    return int(dim) if dim.is_Integer else ir.SymbolicDim(dim)


def value_type(value: ir.Value | None) -> ValueType | None:
    """The type of a value; None for an absent value or one whose type nobody knows.

    A tensor of unknown rank has `dims=None`.
    """
    if value is None or value.type is None:
        return None
    return _convert(value.type, value.shape, value.name or "")


def _convert(kind: Any, shape: ir.Shape | None, name: str) -> ValueType | None:
    if isinstance(kind, _CONTAINERS):
        inner = _convert(kind.elem_type, shape, name)
        if inner is None:
            return None
        return SequenceType(inner, None, name) if isinstance(kind, ir.SequenceType) else OptionalType(inner, name)
    dtype = dtype_of(kind.dtype)
    if dtype is None:
        return None
    dims = None
    if shape is not None:
        dims = tuple(d if type(d) is int else dim_of(d, f"{name}_d{i}") for i, d in enumerate(shape.dims))
    return TensorType(dtype, dims, name)
