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


def real_transform(code: Function, values: Sequence[Value]) -> tuple[Value, list[Complex], Value]:
    """Of N real numbers: the first bin, the N/2 − 1 after it, and the bin in the middle; both ends are real."""
    count = len(values)
    if count == 2:
        return _add(code, *values), [], _subtract(code, *values)
    even, odd = (real_transform(code, values[start::2]) for start in (0, 1))
    found: dict[int, Complex] = {}
    for k, (a, b) in enumerate(zip(even[1], odd[1], strict=True), start=1):
        found[k], far = _butterfly(code, a, b, k / count)
        found[count // 2 - k] = far[0], _negative(code, far[1])
    found[count // 4] = even[2], _negative(code, odd[2])
    ordered = [found[k] for k in range(1, count // 2)]
    return _add(code, even[0], odd[0]), ordered, _subtract(code, even[0], odd[0])


def real_inverse(code: Function, first: Value, between: Sequence[Complex], middle: Value) -> list[Value]:
    """The N real numbers that `real_transform` makes these bins of, times N."""
    count = 2 * (len(between) + 1)
    ends = _add(code, first, middle), _subtract(code, first, middle)
    if count == 2:
        return list(ends)
    centre = between[count // 4 - 1]
    if count == 4:
        twice = [code.fma(part, sign * 2.0, end) for end, part in zip(ends, centre) for sign in (1, -1)]
        return [twice[0], twice[3], twice[1], twice[2]]
    halves: tuple[list[Complex], list[Complex]] = ([], [])
    for k in range(1, count // 4):
        a, b = between[k - 1], between[count // 2 - k - 1]
        halves[0].append((_add(code, a[0], b[0]), _subtract(code, a[1], b[1])))
        difference = _subtract(code, a[0], b[0]), _add(code, a[1], b[1])
        halves[1].append(_rotated(code, difference, -k / count))
    even = real_inverse(code, ends[0], halves[0], code.arithmetic("fmul", centre[0], 2.0))
    odd = real_inverse(code, ends[1], halves[1], code.arithmetic("fmul", centre[1], -2.0))
    return [value for pair in zip(even, odd, strict=True) for value in pair]


def transform(code: Function, values: Sequence[Complex], *, inverse: bool = False) -> list[Complex]:
    """Of N complex numbers; the inverse is times N."""
    count = len(values)
    if count == 1:
        return list(values)
    even, odd = (transform(code, values[start::2], inverse=inverse) for start in (0, 1))
    pairs = [
        _butterfly(code, a, b, (-k if inverse else k) / count) for k, (a, b) in enumerate(zip(even, odd, strict=True))
    ]
    return [near for near, _ in pairs] + [far for _, far in pairs]


def _butterfly(code: Function, a: Complex, b: Complex, turn: float) -> tuple[Complex, Complex]:
    """a plus and minus b, b turned back by a part of a circle (at most a half, either way)."""
    if turn == 0:
        return (_add(code, a[0], b[0]), _add(code, a[1], b[1])), (
            _subtract(code, a[0], b[0]),
            _subtract(code, a[1], b[1]),
        )
    if abs(turn) == 0.25:
        near = _add(code, a[0], b[1]), _subtract(code, a[1], b[0])
        far = _subtract(code, a[0], b[1]), _add(code, a[1], b[0])
        return (near, far) if turn > 0 else (far, near)
    turned, length = _direction(code, b, turn)
    near, far = (
        (code.fma(turned[0], sign * length, a[0]), code.fma(turned[1], sign * length, a[1])) for sign in (1, -1)
    )
    return near, far


def _rotated(code: Function, value: Complex, turn: float) -> Complex:
    """A number turned back by a part of a circle."""
    turned, length = _direction(code, value, turn)
    return code.arithmetic("fmul", turned[0], length), code.arithmetic("fmul", turned[1], length)


def _direction(code: Function, value: Complex, turn: float) -> tuple[Complex, float]:
    """A number turned back, but for a factor: of cosine and sine the larger, so that the quotient is at most one."""
    real, imaginary = value
    cosine, sine = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    if math.isclose(abs(cosine), abs(sine)):
        one = math.copysign(1.0, sine * cosine)
        if one > 0:
            return (_add(code, real, imaginary), _subtract(code, imaginary, real)), cosine
        return (_subtract(code, real, imaginary), _add(code, imaginary, real)), cosine
    if abs(cosine) > abs(sine):
        ratio = sine / cosine
        return (code.fma(imaginary, ratio, real), code.fma(real, -ratio, imaginary)), cosine
    ratio = cosine / sine
    return (code.fma(real, ratio, imaginary), code.fma(imaginary, ratio, _negative(code, real))), sine


def _add(code: Function, a: Value, b: Value) -> Value:
    return code.arithmetic("fadd", a, b)


def _subtract(code: Function, a: Value, b: Value) -> Value:
    return code.arithmetic("fsub", a, b)


def _negative(code: Function, a: Value) -> Value:
    """LLVM makes it part of the instruction that reads it, where it can."""
    return code.emit(a.kind, f"fneg {a.kind} {a.name}")
