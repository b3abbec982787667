"""Numbers with a meaning: element types, dimensions that may be open, the value *unknown*, and their text forms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, Union

if TYPE_CHECKING:
    import sympy

__all__ = [
    "Count",
    "DType",
    "Dim",
    "Maybe",
    "Unknown",
    "ceil_div",
    "count_text",
    "larger",
    "product",
    "si",
    "smaller",
    "symbol",
    "time_text",
]

Dim: TypeAlias = Union[int, "sympy.Expr"]
"""One dimension of a tensor: a number, or an expression of named open dimensions such as `N` or `floor((H + 1)/2)`."""

Count: TypeAlias = Union[int, "sympy.Expr"]
"""A count of operations, elements or bytes: a number, or an expression of the open dimensions."""


@dataclass(frozen=True)
class Unknown:
    """A quantity nobody can state, with the reason. Never zero, never silently dropped from a total."""

    reason: str

    def __str__(self) -> str:
        return f"unknown ({self.reason})"


Maybe: TypeAlias = Count | Unknown


class DType(Enum):
    """Element type of a tensor; `bits` is its packed size (4-bit types pack two to a byte)."""

    FLOAT32 = ("float32", 32)
    UINT8 = ("uint8", 8)
    INT8 = ("int8", 8)
    UINT16 = ("uint16", 16)
    INT16 = ("int16", 16)
    INT32 = ("int32", 32)
    INT64 = ("int64", 64)
    STRING = ("string", 0)
    BOOL = ("bool", 8)
    FLOAT16 = ("float16", 16)
    FLOAT64 = ("float64", 64)
    UINT32 = ("uint32", 32)
    UINT64 = ("uint64", 64)
    COMPLEX64 = ("complex64", 64)
    COMPLEX128 = ("complex128", 128)
    BFLOAT16 = ("bfloat16", 16)
    FLOAT8E4M3FN = ("float8e4m3fn", 8)
    FLOAT8E4M3FNUZ = ("float8e4m3fnuz", 8)
    FLOAT8E5M2 = ("float8e5m2", 8)
    FLOAT8E5M2FNUZ = ("float8e5m2fnuz", 8)
    FLOAT8E8M0 = ("float8e8m0", 8)
    UINT4 = ("uint4", 4)
    INT4 = ("int4", 4)
    FLOAT4E2M1 = ("float4e2m1", 4)
    UINT2 = ("uint2", 2)
    INT2 = ("int2", 2)

    def __init__(self, text: str, bits: int) -> None:
        self.text = text
        self.bits = bits

    def nbytes(self, elements: Count) -> Count:
        """Bytes of `elements` packed elements, the last byte rounded up. Strings have no fixed size: 0 bits."""
        if self.bits % 8 == 0:
            return elements * (self.bits // 8)
        return ceil_div(elements * self.bits, 8)

    @classmethod
    def parse(cls, text: str) -> DType:
        for member in cls:
            if member.text == text:
                return member
        raise ValueError(f"no element type is called {text!r}")


def symbol(name: str) -> sympy.Expr:
    """An open dimension: a positive whole number that is not bound yet."""
    import sympy

    return sympy.Symbol(name, integer=True, nonnegative=True)


def product(factors: Iterable[Count]) -> Count:
    """Product of numbers and expressions; 1 for none."""
    return math.prod(factors)


def ceil_div(a: Count, b: Count) -> Count:
    """`a / b` rounded up, for numbers and expressions."""
    return -((-a) // b)


def _extreme(name: str, values: tuple[Count, ...]) -> Count:
    if all(isinstance(v, int) for v in values):
        return max(values) if name == "Max" else min(values)
    import sympy

    return getattr(sympy, name)(*values)


def larger(*values: Count) -> Count:
    """The largest of numbers and expressions."""
    return _extreme("Max", values)


def smaller(*values: Count) -> Count:
    """The smallest of numbers and expressions."""
    return _extreme("Min", values)


_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def si(value: float, unit: str) -> str:
    """`4.09 GFLOP`, `25.6 MB`: three significant digits with a decimal SI prefix."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * 0.9995:
            return f"{_three(value / factor)} {prefix}{unit}"
    return f"{_three(value)} {unit}".rstrip()


def _three(value: float) -> str:
    if value == 0:
        return "0"
    value = float(f"{value:.3g}")  # 0.9996 is 1.00, not 1.000
    digits = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-12))
    return f"{value:.{min(digits, 9)}f}"


def count_text(value: Any, unit: str = "") -> str:
    """A count for people: SI for numbers, the expression for open dimensions, the reason for unknowns."""
    if isinstance(value, Unknown):
        return str(value)
    if isinstance(value, int | float):
        return si(value, unit)
    return f"{value} {unit}".rstrip()


def time_text(seconds: float) -> str:
    """`3.21 ms`, `810 ns`, `12.0 s`."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(seconds) >= factor * 0.9995:
            return f"{_three(seconds / factor)} {unit}"
    return f"{_three(seconds / 1e-9)} ns"
