"""Functions of vectors, written out: no call leaves the kernel, no table is read.

Arguments are reduced as in Cody and Waite, Software Manual for the Elementary Functions (1980). Polynomials and
fractions have the least largest error: coefficients were found in 50 digits by Remez's exchange, fractions by weighted
least squares until the errors were level. Errors below are those of fp32 arithmetic, coefficients rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rooftune.compiler.emit.function import Function, Value

__all__ = [
    "ERF_ERROR",
    "EXP2_ERROR",
    "EXPM1_ERROR",
    "EXPONENTIAL_ERROR",
    "GELU_GATE_ERROR",
    "LOG1P_ERROR",
    "LOGARITHM_ERROR",
    "SINE_ERROR",
    "TANH_ERROR",
    "choose",
    "compare",
    "cosine",
    "erf",
    "exp2",
    "expm1",
    "exponential",
    "gelu_gate",
    "log1p",
    "logarithm",
    "magnitude",
    "polynomial",
    "rounded",
    "sine",
    "tanh",
    "with_sign",
]

EXPONENTIAL_ERROR = 2.5
"""Units in the last place by which `exponential` may be off, wherever e to the power of x lies."""

EXP2_ERROR = 1.5
"""Units in the last place, of results that are normal numbers."""

EXPM1_ERROR = 1.5
"""Units in the last place."""

LOGARITHM_ERROR = 1.0
"""Units in the last place."""

LOG1P_ERROR = 2.5
"""Units in the last place."""

TANH_ERROR = 5.5
"""Units in the last place."""

ERF_ERROR = 4e-7
"""Largest error, both absolute and relative to the result."""

SINE_ERROR = 1.2e-7
"""Largest absolute error of `sine` and `cosine` of numbers up to 1e5."""

GELU_GATE_ERROR = 3e-7
"""Largest absolute error."""

_LOG2_E = 1.4426950408889634
_LN2 = 0.6931471805599453
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # the high part has few digits: its multiples are exact
_MAGIC = 1.5 * 2**23  # numbers beside it are whole: adding it rounds to even, and the last bits hold the whole number
_EXPONENT_BIAS = 127

# (e^r - 1) / r for |r| ≤ ln 2, relative to e^r 1.2e-8; the same for |r| ≤ ln(2)/2, relative to itself 1.1e-8
_EXP = (0.00019552113, 0.0014114645, 0.00833704744, 0.0416605506, 0.166665722, 0.500000463, 1.0)
_EXPM1 = (0.00138888728, 0.0083691043, 0.0416671372, 0.166665059, 0.499999981, 1.0)
# (2^r - 1) / r for |r| ≤ 1/2, relative to 2^r 2.0e-9
_EXP2 = (0.000153533439, 0.00133989356, 0.00961843784, 0.0555033233, 0.240226479, 0.693147203)
# (log(1 + f) - f + f²/2) / f³ where 1 + f is between √½ and √2, relative to log(1 + f) 5.8e-9
_LOG = (
    -0.0763463566, 0.127616643, -0.131601672, 0.142017444, -0.166233579, 0.200012275, -0.25000821, 0.333333317,
)  # fmt: skip
# log(1 + x) / x for x = 1/2 + v, |v| ≤ 1/2: 3.0e-8
_LOG1P = (
    0.00523269475, -0.00857446184, 0.0115864757, -0.020228246, 0.0366338601, -0.067711447, 0.132609085, -0.288526665,
    0.810930219,
)  # fmt: skip
# erf(x) / x for x² = centre + v, |v| ≤ centre: 6.5e-8. About the centre all terms are small: nothing cancels
_ERF_CENTRE = 7.22
_ERF = (
    1.0657205e-15, -1.90997174e-14, 1.04003846e-13, -1.11267075e-12, 2.6698345e-11, -3.48175713e-10, 3.58988992e-09,
    -3.79570631e-08, 3.89041549e-07, -3.69763757e-06, 3.34242377e-05, -0.000295409578, 0.00264231821, -0.0257120904,
    0.372107618,
)  # fmt: skip
# tanh(√(2/π)·(x + 0.044715·x³)) / x in the same way: 7.7e-8, absolute in the function
_GATE_CENTRE = 12.5
_GATE = (
    3.53761904e-20, -4.6828846e-19, -1.80101901e-17, 3.26411722e-16, 5.77331084e-17, 9.56929999e-15, -1.16510846e-12,
    2.38863011e-11, -4.2103195e-10, 8.1915619e-09, -1.51316232e-07, 2.57292375e-06, -4.15089079e-05, 0.000661170345,
    -0.0112585519, 0.282757083,
)  # fmt: skip
# tanh(x) / x as a fraction in x², |x| ≤ 9: 2.1e-8; all terms are positive
_TANH_LIMIT = 9.0
_TANH_ABOVE = (1.33546828e-08, 2.06090998e-05, 0.00349558927, 0.133810266, 1.0)
_TANH_BELOW = (7.77656768e-07, 0.000328563664, 0.0258769866, 0.467143422, 1.0)
# π in parts: the first two have few digits, so that their multiples are exact up to 1e5 without fused multiply-adds
_PI = (3.140625, 127 / 2**17, -1.2795156755e-06)
# (sin(r) - r) / r³ for |r| ≤ 1.6, relative to sin(r) 7.3e-9
_SINE_LIMIT = 1.6
_SINE = (2.60017075e-06, -0.000198071587, 0.00833303445, -0.166666584)


def exponential(code: Function, x: Value) -> Value:
    """e to the power of every lane, within 2.5 units in the last place, also where the result is subnormal or infinite;
    what is not a number stays so.

    x = 2n·ln 2 + r with |r| ≤ ln 2; 2^n is multiplied twice, because 2^2n alone may be too large or too small.
    """
    bounded = code.extreme("min", code.extreme("max", x, -104.0), 89.0)
    shifted = code.fma(bounded, _LOG2_E / 2, _splat(code, x, _MAGIC + _EXPONENT_BIAS))
    number = code.arithmetic("fsub", shifted, _MAGIC + _EXPONENT_BIAS)
    rest = code.fma(number, -2 * _LN2_LOW, code.fma(number, -2 * _LN2_HIGH, bounded))
    power = code.fma(polynomial(code, rest, _EXP), rest, _splat(code, x, 1.0))
    half = _power(code, shifted)
    return code.arithmetic("fmul", code.arithmetic("fmul", power, half), half)


def exp2(code: Function, x: Value) -> Value:
    """2 to the power of every lane for numbers below 127, within 1.5 units in the last place; 0 where the result would
    be no normal number; what is not a number stays so."""
    shifted = code.arithmetic("fadd", x, _MAGIC + _EXPONENT_BIAS)
    rest = code.arithmetic("fsub", x, code.arithmetic("fsub", shifted, _MAGIC + _EXPONENT_BIAS))
    power = code.fma(polynomial(code, rest, _EXP2), rest, _splat(code, x, 1.0))
    found = code.arithmetic("fmul", power, _power(code, shifted))
    return choose(code, compare(code, "olt", x, -126.0), _splat(code, x, 0.0), found)


def expm1(code: Function, x: Value) -> Value:
    """e to the power of numbers that are not positive, minus 1, within 1.5 units in the last place, also about 0;
    what is not a number stays so."""
    bounded = code.extreme("max", x, -20.0)  # there the result is -1
    shifted = code.fma(bounded, _LOG2_E, _splat(code, x, _MAGIC + _EXPONENT_BIAS))
    number = code.arithmetic("fsub", shifted, _MAGIC + _EXPONENT_BIAS)
    rest = code.fma(number, -_LN2, bounded)
    power = _power(code, shifted)
    less = code.arithmetic("fsub", power, 1.0)
    return code.fma(power, code.arithmetic("fmul", polynomial(code, rest, _EXPM1), rest), less)


def logarithm(code: Function, x: Value) -> Value:
    """The natural logarithm within a unit in the last place; minus infinity of 0, and nothing of negative numbers.

    x = 2^n·(1 + f) with 1 + f between √½ and √2.
    """
    whole, small = x.kind.replace("float", "i32"), compare(code, "olt", x, 2.0**-126)
    scaled = choose(code, small, code.arithmetic("fmul", x, 2.0**23), x)
    bits = code.emit(whole, f"bitcast {x.kind} {scaled.name} to {whole}")
    above = code.emit(whole, f"sub {whole} {bits.name}, splat (i32 {0x3F3504F3})")  # the bits of √½
    exponent = code.emit(whole, f"ashr {whole} {above.name}, splat (i32 23)")
    field = code.emit(whole, f"shl {whole} {exponent.name}, splat (i32 23)")
    mantissa = code.emit(whole, f"sub {whole} {bits.name}, {field.name}")
    f = code.arithmetic("fsub", code.emit(x.kind, f"bitcast {whole} {mantissa.name} to {x.kind}"), 1.0)
    number = code.emit(x.kind, f"sitofp {whole} {exponent.name} to {x.kind}")
    number = choose(code, small, code.arithmetic("fsub", number, 23.0), number)
    square = code.arithmetic("fmul", f, f)
    tail = code.arithmetic("fmul", code.arithmetic("fmul", square, f), polynomial(code, f, _LOG))
    tail = code.fma(number, _LN2_LOW, code.fma(square, -0.5, tail))
    found = code.fma(number, _LN2_HIGH, code.arithmetic("fadd", f, tail))
    found = choose(code, compare(code, "olt", x, math.inf), found, x)  # infinity, and what is not a number
    odd = choose(code, compare(code, "oeq", x, 0.0), _splat(code, x, -math.inf), _splat(code, x, math.nan))
    return choose(code, compare(code, "ole", x, 0.0), odd, found)


def log1p(code: Function, x: Value) -> Value:
    """The logarithm of 1 + x for x between 0 and 1, within 2.5 units in the last place, also about 0."""
    return code.arithmetic("fmul", x, polynomial(code, code.arithmetic("fsub", x, 0.5), _LOG1P))


def erf(code: Function, x: Value, factor: float = 1.0) -> Value:
    """The error function of every lane times a factor, within 4e-7; ±1 exactly from 3.8 on; what is not a number
    stays so."""
    terms = [c * factor ** (2 * n + 1) for n, c in zip(range(len(_ERF) - 1, -1, -1), _ERF, strict=True)]
    return _odd(code, x, terms, _ERF_CENTRE / factor**2)


def gelu_gate(code: Function, x: Value) -> Value:
    """tanh(√(2/π)·(x + 0.044715·x³)) within 3e-7, without a division; ±1 exactly from 5 on."""
    return _odd(code, x, _GATE, _GATE_CENTRE)


def tanh(code: Function, x: Value) -> Value:
    """The hyperbolic tangent within 5.5 units in the last place; what is not a number stays so."""
    bounded = _between(code, x, _TANH_LIMIT)
    square = code.arithmetic("fmul", bounded, bounded)
    above = code.arithmetic("fmul", bounded, polynomial(code, square, _TANH_ABOVE))
    found = code.arithmetic("fdiv", above, polynomial(code, square, _TANH_BELOW))
    return _between(code, found, 1.0)


def sine(code: Function, x: Value) -> Value:
    """The sine within 1.2e-7 for numbers up to 1e5. Farther out less and less of it is right; it stays between -1
    and 1. Infinities have none, and what is not a number stays so.

    x = nπ + r with |r| ≤ π/2, and a little more where n was rounded wrongly.
    """
    shifted = code.fma(x, 1 / math.pi, _splat(code, x, _MAGIC))
    return _wave(code, x, code.arithmetic("fsub", shifted, _MAGIC), shifted)


def cosine(code: Function, x: Value) -> Value:
    """The cosine, as exact as `sine`.

    x = (n - 1/2)π + r: there the cosine is the sine of r, or the negative of that, and small where r is.
    """
    before = code.fma(x, 1 / math.pi, _splat(code, x, -0.5))
    shifted = code.arithmetic("fadd", before, _MAGIC + 1)
    number = code.arithmetic("fadd", code.arithmetic("fsub", shifted, _MAGIC + 1), 0.5)
    return _wave(code, x, number, shifted)


def polynomial(code: Function, x: Value, coefficients: Sequence[float]) -> Value:
    """A polynomial by Horner's rule, the coefficient of the highest power first; at least two of them."""
    total = code.fma(_splat(code, x, coefficients[0]), x, _splat(code, x, coefficients[1]))
    for coefficient in coefficients[2:]:
        total = code.fma(total, x, _splat(code, x, coefficient))
    return total


def rounded(code: Function, which: str, x: Value) -> Value:
    """`floor`, `ceil` or `roundeven` (halves to even) of every lane, written out where the processor has no
    instruction for it; signs of zeros are kept."""
    if code.fused:
        return code.call(f"llvm.{which}.v{code.lanes}f32", x.kind, (x, x.kind))
    size = magnitude(code, x)
    whole = code.arithmetic("fsub", code.arithmetic("fadd", size, 2.0**23), 2.0**23)
    near = with_sign(code, whole, x)
    if which != "roundeven":
        over = compare(code, "ogt" if which == "floor" else "olt", near, x)
        step = choose(code, over, _splat(code, x, 1.0), _splat(code, x, 0.0))
        near = with_sign(code, code.arithmetic("fsub" if which == "floor" else "fadd", near, step), x)
    # from 2^23 on all numbers are whole
    return choose(code, compare(code, "olt", size, 2.0**23), near, x)


def magnitude(code: Function, x: Value) -> Value:
    """Every lane without its sign."""
    return code.call(f"llvm.fabs.v{code.lanes}f32", x.kind, (x, x.kind))


def with_sign(code: Function, x: Value, sign: Value) -> Value:
    """Every lane with the sign of another's."""
    return code.call(f"llvm.copysign.v{code.lanes}f32", x.kind, (x, x.kind), (sign, x.kind))


def compare(code: Function, how: str, a: Value, b: Value | float) -> Value:
    """Truth in every lane: LLVM's `olt`, `oge`, `une`, `uno`, ..."""
    return code.emit(a.kind.replace("float", "i1"), f"fcmp {how} {a.kind} {a.name}, {code.text(b, a.kind)}")


def choose(code: Function, test: Value, yes: Value, no: Value) -> Value:
    """One value where the test is true, another where it is not."""
    return code.emit(yes.kind, f"select {test.kind} {test.name}, {yes.kind} {yes.name}, {yes.kind} {no.name}")


def _odd(code: Function, x: Value, terms: Sequence[float], centre: float) -> Value:
    """x·p(x²) between -1 and 1, p about a centre and constant from twice the centre on."""
    square = code.extreme("min", code.arithmetic("fmul", x, x), 2 * centre)
    found = code.arithmetic("fmul", x, polynomial(code, code.arithmetic("fsub", square, centre), terms))
    return _between(code, found, 1.0)


def _wave(code: Function, x: Value, number: Value, shifted: Value) -> Value:
    """The sine of what x has beyond a number of times π, with the other sign where the last bit of another is set."""
    rest = x
    for part in _PI:
        rest = code.fma(number, -part, rest)
    rest = _between(code, rest, _SINE_LIMIT)
    square = code.arithmetic("fmul", rest, rest)
    cube = code.arithmetic("fmul", rest, square)
    found = _between(code, code.fma(cube, polynomial(code, square, _SINE), rest), 1.0)
    whole = x.kind.replace("float", "i32")
    odd = code.emit(whole, f"bitcast {x.kind} {shifted.name} to {whole}")
    sign = code.emit(whole, f"shl {whole} {odd.name}, splat (i32 31)")
    bits = code.emit(whole, f"bitcast {x.kind} {found.name} to {whole}")
    turned = code.emit(whole, f"xor {whole} {bits.name}, {sign.name}")
    return code.emit(x.kind, f"bitcast {whole} {turned.name} to {x.kind}")


def _between(code: Function, x: Value, limit: float) -> Value:
    """Every lane, or the limit of its sign."""
    return code.extreme("min", code.extreme("max", x, -limit), limit)


def _power(code: Function, shifted: Value) -> Value:
    """2 to the power of a whole number that was added to the magic one, with the bias of exponents."""
    whole = shifted.kind.replace("float", "i32")
    bits = code.emit(whole, f"bitcast {shifted.kind} {shifted.name} to {whole}")
    field = code.emit(whole, f"shl {whole} {bits.name}, splat (i32 23)")
    return code.emit(shifted.kind, f"bitcast {whole} {field.name} to {shifted.kind}")


def _splat(code: Function, like: Value, number: float) -> Value:
    """A constant in every lane."""
    return Value(code.text(number, like.kind), like.kind, code)
