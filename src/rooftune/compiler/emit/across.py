"""Across the lanes of vectors: sums, and the lanes of a last block that hold no channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rooftune.compiler.emit.function import Function, Value

__all__ = ["Combine", "everywhere", "kept", "lane", "shuffle", "totals"]

Combine = Callable[[Value, Value], Value]
"""A sum, a product, the larger of two: the order must not matter."""

_QUAD = 4


def totals(code: Function, vectors: Sequence[Value], combine: Combine) -> Value:
    """All lanes of the first vector together in lane 0, all of the second in lane 1, and so on.

    Two vectors become one with half of each at every step, which takes some three instructions a vector instead of
    two for every halving of each. Lanes beyond the number of vectors hold anything.
    """
    level: list[Value | None] = [*vectors, *([None] * (code.lanes - len(vectors)))]
    width = 1
    while width < code.lanes:
        first, second = _halves(code.lanes, width)
        level = [_merged(code, *pair, first, second, combine) for pair in zip(level[::2], level[1::2], strict=True)]
        width *= 2
    (found,) = level
    assert found is not None, "no vectors"
    return found


def everywhere(code: Function, vector: Value, combine: Combine) -> Value:
    """All lanes together, in every lane."""
    distance = 1
    while distance < code.lanes:
        vector = combine(vector, shuffle(code, vector, vector, [i ^ distance for i in range(code.lanes)]))
        distance *= 2
    return vector


def lane(code: Function, vector: Value, number: int) -> Value:
    """One lane in every lane."""
    return shuffle(code, vector, vector, [number] * code.lanes)


def kept(code: Function, vector: Value, count: int, otherwise: float) -> Value:
    """The first lanes; a number in the others."""
    if count == code.lanes:
        return vector
    truths = f"<{code.lanes} x i1>"
    mask = ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(code.lanes))
    other = code.text(otherwise, vector.kind)
    return code.emit(vector.kind, f"select {truths} <{mask}>, {vector.kind} {vector.name}, {vector.kind} {other}")


def shuffle(code: Function, a: Value, b: Value, places: Sequence[int]) -> Value:
    """Lanes of two vectors, counted through both."""
    mask = ", ".join(f"i32 {p}" for p in places)
    kind = f"<{len(places)} x i32>"
    return code.emit(a.kind, f"shufflevector {a.kind} {a.name}, {b.kind} {b.name}, {kind} <{mask}>")


def _merged(
    code: Function,
    a: Value | None,
    b: Value | None,
    first: Sequence[int],
    second: Sequence[int],
    combine: Combine,
) -> Value | None:
    if a is None:
        return None
    other = a if b is None else b
    return combine(shuffle(code, a, other, first), shuffle(code, a, other, second))


def _halves(lanes: int, width: int) -> tuple[list[int], list[int]]:
    """The lanes of two vectors, each holding `width` totals over and over, whose sum holds those of both.

    Within four lanes these are unpacking instructions; beyond, groups of four are moved as a whole.
    """
    if width >= _QUAD:
        starts = [s for start in (0, lanes) for s in range(start, start + lanes, _QUAD)]
        even, odd = ([s + i for s in part for i in range(_QUAD)] for part in (starts[::2], starts[1::2]))
        return even, odd

    def half(which: int) -> list[int]:
        pairs = [(s + 2 * which, s + 2 * which + 1) for s in range(0, lanes, _QUAD)]
        if width == 1:
            return [p for a, b in pairs for p in (a, lanes + a, b, lanes + b)]
        return [p for a, b in pairs for p in (a, b, lanes + a, lanes + b)]

    return half(0), half(1)
