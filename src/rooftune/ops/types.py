"""What a formula sees (types) and what it answers (work)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from rooftune.quantities import Count, Dim, DType, Maybe, Unknown, product

__all__ = [
    "ELEMENTWISE_CLASSES",
    "OptionalType",
    "SequenceType",
    "ShapeUnknown",
    "TensorType",
    "ValueType",
    "Work",
    "add_up",
]

ELEMENTWISE_CLASSES = (
    "add",  # add, subtract, negate, accumulate
    "mul",
    "div",  # divide, reciprocal, remainder
    "compare",  # less, equal, max, min, select, absolute value, sign
    "exp",
    "log",
    "sqrt",
    "tanh",  # tanh, sinh, cosh and their inverses
    "erf",
    "trig",  # sin, cos, tan and their inverses
    "pow",
    "round",  # round, floor, ceil
    "logic",  # and, or, not, xor, shifts
    "convert",  # a change of number format
    "random",  # one drawn number
)
"""Classes of elementwise operations; one operation of any class is one FLOP in the default convention."""


class ShapeUnknown(Exception):
    """A formula asked for a shape nobody knows; the framework turns it into `Unknown`."""


@dataclass(frozen=True)
class TensorType:
    """Element type and shape of a tensor.

    Dimensions are numbers or expressions of open dimensions. `dims` is None when not even the rank is
    known; formulas read `shape`, which then raises `ShapeUnknown`. `bytes` is the size in memory; unknown for
    strings, whose length is data.
    """

    dtype: DType
    dims: tuple[Dim, ...] | None
    name: str = field(default="", compare=False)
    bytes: Maybe = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # worked out at once: every tensor is asked for its size, most of them again and again
        size: Maybe
        if self.dtype is DType.STRING:
            size = Unknown("strings have no fixed size")
        elif self.dims is None:
            size = Unknown(f"the shape of {self.name or 'a tensor'} is not known")
        else:
            size = self.dtype.nbytes(product(self.dims))
        object.__setattr__(self, "bytes", size)

    @property
    def shape(self) -> tuple[Dim, ...]:
        if self.dims is None:
            raise ShapeUnknown(f"the shape of {self.name or 'a tensor'} is not known")
        return self.dims

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> Count:
        return product(self.shape)

    def __str__(self) -> str:
        inside = "?" if self.dims is None else ",".join(map(str, self.dims))
        return f"{self.dtype.text}[{inside}]"


@dataclass(frozen=True)
class SequenceType:
    """A sequence of values of one type; its length is data unless `length` says otherwise."""

    element: ValueType
    length: Dim | None = None
    name: str = field(default="", compare=False)

    @property
    def bytes(self) -> Maybe:
        inner = self.element.bytes
        if self.length is None or isinstance(inner, Unknown):
            return Unknown("the length of a sequence is decided at run time")
        return self.length * inner

    def __str__(self) -> str:
        return f"seq({self.element})"


@dataclass(frozen=True)
class OptionalType:
    """A value that may be absent at run time."""

    element: ValueType
    name: str = field(default="", compare=False)

    @property
    def bytes(self) -> Maybe:
        return self.element.bytes

    def __str__(self) -> str:
        return f"optional({self.element})"


ValueType: TypeAlias = TensorType | SequenceType | OptionalType


@dataclass(frozen=True)
class Work:
    """What an operator does, before any machine is looked at.

    macs          multiply-accumulates, counted by convention: taps on padding included (1 MAC = 2 FLOPs)
    padding_macs  the part of `macs` that falls on padding; kernels skip it, the roof does not count it
    elementwise   other arithmetic by class, see `ELEMENTWISE_CLASSES`
    reads         bytes read per input, in the order of the inputs; None = every input read once in full
    writes        bytes written per output; None = every output written once in full
    format        number format of the arithmetic; None = the element type of the first input
    """

    macs: Count = 0
    elementwise: Mapping[str, Count] = field(default_factory=dict)
    padding_macs: Count = 0
    reads: tuple[Maybe, ...] | None = None
    writes: tuple[Maybe, ...] | None = None
    format: DType | None = None

    @property
    def flops(self) -> Count:
        """2 · MACs + elementwise operations, one each."""
        return 2 * self.macs + sum(self.elementwise.values())

    @property
    def bytes_read(self) -> Maybe:
        return add_up(self.reads or ())

    @property
    def bytes_written(self) -> Maybe:
        return add_up(self.writes or ())


def add_up(parts: Iterable[Maybe]) -> Maybe:
    """Sum of counts; the first unknown part makes the sum unknown."""
    known = tuple(parts)
    try:
        return sum(known)  # type: ignore[arg-type]
    except TypeError:
        for part in known:
            if isinstance(part, Unknown):
                return part
        raise
