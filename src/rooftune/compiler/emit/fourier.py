"""Fourier transforms of vectors, written out: every lane is a sequence of its own.

Cooley and Tukey's recursion (1965) by halves; of sequences of real numbers only the half of the result that is not the
other's conjugate (Sorensen et al. 1987). A rotation is put into two multiply-adds, its length into the sum and the
difference that follow (Linzer and Feig 1993).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rooftune.compiler.emit.function import Function, Value

__all__ = ["Complex", "real_inverse", "real_transform", "transform"]

Complex = tuple[Value, Value]
"""Real and imaginary part."""

_Part = Value | None
_Pair = tuple[_Part, _Part]
"""None is zero: nothing is done for it."""


def real_transform(code: Function, values: Sequence[Value | None]) -> tuple[Value, list[Complex], Value]:
    """Of N real numbers, None for zero: the first bin, the N/2 − 1 after it, and the one in the middle; both ends are
    real."""
    first, between, middle = _real_transform(code, values)
    return _there(first), _all_there(between), _there(middle)


def real_inverse(code: Function, first: Value, between: Sequence[Complex], middle: Value) -> list[Value]:
    """The N real numbers that `real_transform` makes these bins of, times N."""
    return [_there(value) for value in _real_inverse(code, first, between, middle)]


def transform(code: Function, values: Sequence[Complex | None], *, inverse: bool = False) -> list[Complex]:
    """Of N complex numbers, None for zero; the inverse is times N."""
    return _all_there(_transform(code, [(None, None) if v is None else v for v in values], inverse))


def _real_transform(code: Function, values: Sequence[_Part]) -> tuple[_Part, list[_Pair], _Part]:
    count = len(values)
    if count == 2:
        return _plus(code, values[0], values[1]), [], _plus(code, values[0], values[1], -1)
    even, odd = (_real_transform(code, values[start::2]) for start in (0, 1))
    found: dict[int, _Pair] = {count // 4: (even[2], _negative(code, odd[2]))}
    for k, (a, b) in enumerate(zip(even[1], odd[1], strict=True), start=1):
        found[k], far = _butterfly(code, a, b, k / count)
        found[count // 2 - k] = far[0], _negative(code, far[1])
    ends = [_plus(code, even[0], odd[0], sign) for sign in (1, -1)]
    return ends[0], [found[k] for k in range(1, count // 2)], ends[1]


def _real_inverse(code: Function, first: _Part, between: Sequence[_Pair], middle: _Part) -> list[_Part]:
    count = 2 * (len(between) + 1)
    ends = [_plus(code, first, middle, sign) for sign in (1, -1)]
    if count == 2:
        return ends
    real, imaginary = between[count // 4 - 1]
    if count == 4:
        near, far = (_plus(code, ends[0], real, sign) for sign in (2, -2))
        before, behind = (_plus(code, ends[1], imaginary, sign) for sign in (-2, 2))
        return [near, before, far, behind]
    even: list[_Pair] = []
    odd: list[_Pair] = []
    for k in range(1, count // 4):
        a, b = between[k - 1], between[count // 2 - k - 1]
        even.append((_plus(code, a[0], b[0]), _plus(code, a[1], b[1], -1)))
        turned, length = _turned(code, (_plus(code, a[0], b[0], -1), _plus(code, a[1], b[1])), -k / count)
        odd.append((_plus(code, None, turned[0], length), _plus(code, None, turned[1], length)))
    halves = (
        _real_inverse(code, ends[0], even, _plus(code, None, real, 2)),
        _real_inverse(code, ends[1], odd, _plus(code, None, imaginary, -2)),
    )
    return [value for pair in zip(*halves, strict=True) for value in pair]


def _transform(code: Function, values: Sequence[_Pair], inverse: bool) -> list[_Pair]:
    count = len(values)
    if count == 1:
        return list(values)
    even, odd = (_transform(code, values[start::2], inverse) for start in (0, 1))
    sign = -1 if inverse else 1
    pairs = [_butterfly(code, even[k], odd[k], sign * k / count) for k in range(count // 2)]
    return [near for near, _ in pairs] + [far for _, far in pairs]


def _butterfly(code: Function, a: _Pair, b: _Pair, turn: float) -> tuple[_Pair, _Pair]:
    """a plus and minus b, b turned back by a part of a circle."""
    turned, length = _turned(code, b, turn)
    near, far = (
        (_plus(code, a[0], turned[0], factor), _plus(code, a[1], turned[1], factor)) for factor in (length, -length)
    )
    return near, far


def _turned(code: Function, value: _Pair, turn: float) -> tuple[_Pair, float]:
    """A number turned back by at most half a circle, but for a factor: the larger of cosine and sine, so that what is
    left to multiply with is at most one."""
    real, imaginary = value
    cosine, sine = (_exact(f(2 * math.pi * turn)) for f in (math.cos, math.sin))
    if abs(cosine) >= abs(sine):
        ratio = _exact(sine / cosine)
        return (_plus(code, real, imaginary, ratio), _plus(code, imaginary, real, -ratio)), cosine
    ratio = _exact(cosine / sine)
    return (_plus(code, imaginary, real, ratio), _plus(code, _negative(code, real), imaginary, ratio)), sine


def _exact(value: float) -> float:
    """Zero and one where they are meant."""
    whole = round(value)
    return float(whole) if math.isclose(value, whole, abs_tol=1e-12) else value


def _plus(code: Function, a: _Part, b: _Part, factor: float = 1.0) -> _Part:
    """a plus a factor times b."""
    if b is None or factor == 0:
        return a
    if a is None:
        return b if factor == 1 else _negative(code, b) if factor == -1 else code.arithmetic("fmul", b, factor)
    if abs(factor) == 1:
        return code.arithmetic("fadd" if factor == 1 else "fsub", a, b)
    return code.fma(b, factor, a)


def _negative(code: Function, a: _Part) -> _Part:
    """LLVM makes it part of the instruction that reads it, where it can."""
    return None if a is None else code.emit(a.kind, f"fneg {a.kind} {a.name}")


def _there(value: _Part) -> Value:
    assert value is not None, "there are numbers only where some are given"
    return value


def _all_there(values: Sequence[_Pair]) -> list[Complex]:
    return [(_there(real), _there(imaginary)) for real, imaginary in values]
