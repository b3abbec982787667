"""A conversion to a wider element type and back, or on."""

from __future__ import annotations

import onnx_ir as ir

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match, attribute
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal

D = ir.DataType
DIGITS = {D.FLOAT16: 11, D.BFLOAT16: 8, D.FLOAT: 24, D.DOUBLE: 53}
"""Bits of whole numbers a floating-point format holds exactly."""
SIGNED = {D.INT8: 7, D.INT16: 15, D.INT32: 31, D.INT64: 63}
UNSIGNED = {D.BOOL: 1, D.UINT8: 8, D.UINT16: 16, D.UINT32: 32, D.UINT64: 64}
INSIDE = {
    (D.FLOAT16, D.FLOAT),
    (D.FLOAT16, D.DOUBLE),
    (D.BFLOAT16, D.FLOAT),
    (D.BFLOAT16, D.DOUBLE),
    (D.FLOAT, D.DOUBLE),
}


class MergeCasts(Rule):
    """Merge two conversions of the element type, the first of which loses nothing, into one or none."""

    pattern = "Cast(inner=&Cast(x))"
    exactness = Exactness.BITWISE

    def find(self, node: ir.Node) -> Match | Refusal | None:
        found = super().find(node)
        if not isinstance(found, Match):
            return None
        source, middle, last = found.x.dtype, attribute(found.inner, "to"), attribute(node, "to")
        if source is None or middle is None or last is None:
            return None
        return found if _same(source, D(middle), D(last)) else None

    def replace(self, m: Match, new: Builder) -> Replacement:
        last = D(attribute(m.root, "to"))
        return m.x if m.x.dtype == last else new.Cast(m.x, to=last.value)

    examples = (
        Example(
            "there and back",
            "(float16[2] x) => (float16[2] y) { a = Abs(x) b = Cast<to=1>(a) c = Cast<to=10>(b) y = Neg(c) }",
            "a = Abs(x)\ny = Neg(a)",
        ),
        Example(
            "there and on",
            "(uint8[2] x) => (int32[2] y) { b = Cast<to=1>(x) y = Cast<to=6>(b) }",
            "y = Cast<to=6>(x)",
        ),
        Example(
            "whole numbers, the first with another reader",
            """(int32[2] x) => (int32[2] y, int64[2] z)
            { a = Abs(x) b = Cast<to=7>(a) z = Neg(b) c = Cast<to=6>(b) y = Neg(c) }""",
            "a = Abs(x)\nb = Cast<to=7>(a)\nz = Neg(b)\ny = Neg(a)",
            opset=12,
        ),
        Example(
            "between input and output",
            "(bool[2] x) => (bool[2] y) { a = Cast<to=1>(x) y = Cast<to=9>(a) }",
            refused="cannot take its name",
        ),
    )


def _same(source: ir.DataType, middle: ir.DataType, last: ir.DataType) -> bool:
    """True where converting at once gives the same: the first step is exact and the second means the same."""
    if not _embeds(source, middle):
        return False
    if source == last or last == D.BOOL:
        return True
    if last in DIGITS:  # engines reach half precision from large whole numbers in several ways
        return last in (D.FLOAT, D.DOUBLE) or _embeds(source, D.FLOAT)
    if last not in SIGNED and last not in UNSIGNED:
        return False
    if source in DIGITS:
        return False  # engines differ in what becomes of NaN and of numbers out of range
    return middle not in DIGITS or _embeds(source, last)  # from whole to whole numbers both wrap around


def _embeds(source: ir.DataType, target: ir.DataType) -> bool:
    """True where the target type holds every value of the source type."""
    if source in DIGITS:
        return source == target or (source, target) in INSIDE
    bits = SIGNED.get(source, UNSIGNED.get(source))
    room = DIGITS.get(target, SIGNED.get(target))
    if bits is None:
        return False
    if target in UNSIGNED:
        return source in UNSIGNED and bits <= UNSIGNED[target]
    return room is not None and bits <= room
