"""Reading integers where the caller of a program has them, as 64-bit numbers whatever their type is."""

from __future__ import annotations

from collections.abc import Sequence

from rooftune.compiler.emit.element import Point, moved
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.operations import Integers
from rooftune.compiler.views import IMAGE, Factor

__all__ = ["integer", "within"]

_BYTES = {"bool": 1, "uint8": 1, "int32": 4, "int64": 8}
_SIGNED = {"bool": "zext", "uint8": "zext", "int32": "sext"}


def integer(
    code: Function, pointer: Value, integers: Integers, pieces: Sequence[Sequence[Factor]], point: Sequence[Index]
) -> Value:
    """The integer that is read for a point of a map, after all that is done to it."""
    place: Point = integers.view.start
    for index, factors in zip(point, pieces, strict=True):
        place = moved(place, index, factors)
    size = _BYTES[integers.dtype]
    at = code.at(pointer, place[IMAGE], size)
    # an array may begin anywhere
    found = code.emit(f"i{8 * size}", f"load i{8 * size}, ptr {at.name}, align 1")
    if integers.dtype != "int64":
        found = code.emit("i64", f"{_SIGNED[integers.dtype]} {found.kind} {found.name} to i64")
    if integers.dtype == "bool":
        found = _asked(code, "ne", found, 0)
    for kind, number in integers.steps:
        found = _stepped(code, kind, number, found)
    return found


def _stepped(code: Function, kind: str, number: int, value: Value) -> Value:
    if kind == "int32":
        low = code.emit("i32", f"trunc i64 {value.name} to i32")
        return code.emit("i64", f"sext i32 {low.name} to i64")
    if kind == "uint8":
        return code.emit("i64", f"and i64 {value.name}, 255")
    if kind == "not":
        return code.emit("i64", f"xor i64 {value.name}, 1")
    return value if kind == "int64" else _asked(code, "ne" if kind == "bool" else kind, value, number)


def _asked(code: Function, comparison: str, value: Value, number: int) -> Value:
    truth = code.emit("i1", f"icmp {comparison} i64 {value.name}, {number}")
    return code.emit("i64", f"zext i1 {truth.name} to i64")


def within(code: Function, value: Value, count: int) -> Index:
    """The place that an index of `count` ones means: those below 0 count from the end.

    The caller sees to it that none is outside; should the array have changed since, another place is read, but none
    that is not there.
    """
    below = code.emit("i1", f"icmp slt i64 {value.name}, 0")
    behind = code.emit("i64", f"add i64 {value.name}, {count}")
    place = code.emit("i64", f"select i1 {below.name}, i64 {behind.name}, i64 {value.name}")
    return code.least(code.largest(place, 0), count - 1)
