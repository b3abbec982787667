"""Activations in registers: what ONNX's functions of one number say, also for infinities; what is not a number stays
so unless a comparison decides otherwise (`shrink`, `thresholdedrelu`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from rooftune.compiler.emit.function import Function, Value
from rooftune.compiler.emit.mathematics import (
    choose,
    compare,
    cosine,
    erf,
    exp2,
    expm1,
    exponential,
    gelu_gate,
    log1p,
    logarithm,
    magnitude,
    rounded,
    sine,
    tanh,
    with_sign,
)
from rooftune.compiler.operations import Activation

__all__ = ["ACTIVATIONS", "activate"]

_LOG2_E = math.log2(math.e)


def activate(code: Function, value: Value, activation: Activation) -> Value:
    """The activation of a vector."""
    found = _FUNCTIONS.get(activation.kind)
    if found is None:
        raise ValueError(f"there is no code for the activation {activation.kind}")
    return found(code, value, activation)


def _clip(code: Function, x: Value, how: Activation) -> Value:
    return code.extreme("min", code.extreme("max", x, how.low), how.high)


def _leaky(code: Function, x: Value, how: Activation) -> Value:
    return _bent(code, x, code.arithmetic("fmul", x, how.low))


def _gate(code: Function, x: Value, slope: float, shift: float) -> Value:
    line = code.fma(x, slope, _constant(code, x, shift))
    return code.extreme("min", code.extreme("max", line, 0.0), 1.0)


def _hard_sigmoid(code: Function, x: Value, how: Activation) -> Value:
    return _gate(code, x, how.low, how.high)


def _hard_swish(code: Function, x: Value, how: Activation) -> Value:
    return code.arithmetic("fmul", x, _gate(code, x, 1 / 6, 0.5))


def _decayed(code: Function, x: Value, factor: float = 1.0) -> Value:
    """e to the power of -|factor·x|: never too large, so that no formula below overflows."""
    return exp2(code, code.arithmetic("fmul", magnitude(code, x), -abs(factor) * _LOG2_E))


def _sigmoid_parts(code: Function, x: Value, factor: float) -> tuple[Value, Value]:
    """What the sigmoid of factor·x is the quotient of."""
    small = _decayed(code, x, factor)
    below = compare(code, "olt" if factor > 0 else "ogt", x, 0.0)
    return choose(code, below, small, _constant(code, x, 1.0)), code.arithmetic("fadd", small, 1.0)


def _sigmoid(code: Function, x: Value, how: Activation) -> Value:
    return code.arithmetic("fdiv", *_sigmoid_parts(code, x, 1.0))


def _silu(code: Function, x: Value, how: Activation) -> Value:
    above, below = _sigmoid_parts(code, x, how.low)
    return code.arithmetic("fdiv", code.arithmetic("fmul", x, above), below)


def _mish(code: Function, x: Value, how: Activation) -> Value:
    """x·tanh(log(1 + e^x)), which is x·n/d with n, d polynomials in e^x; divided by e^2x where x is positive."""
    small, below = _decayed(code, x), compare(code, "olt", x, 0.0)
    square, double = code.arithmetic("fmul", small, small), code.arithmetic("fadd", small, small)
    above = code.arithmetic("fadd", double, choose(code, below, square, _constant(code, x, 1.0)))
    more = choose(code, below, _constant(code, x, 2.0), code.arithmetic("fadd", square, square))
    return code.arithmetic("fdiv", code.arithmetic("fmul", x, above), code.arithmetic("fadd", above, more))


def _softplus(code: Function, x: Value, how: Activation) -> Value:
    return code.arithmetic("fadd", code.extreme("max", x, 0.0), log1p(code, _decayed(code, x)))


def _softsign(code: Function, x: Value, how: Activation) -> Value:
    return code.arithmetic("fdiv", x, code.arithmetic("fadd", magnitude(code, x), 1.0))


def _gelu(code: Function, x: Value, how: Activation) -> Value:
    return _halved(code, x, erf(code, x, math.sqrt(0.5)))


def _gelu_tanh(code: Function, x: Value, how: Activation) -> Value:
    return _halved(code, x, gelu_gate(code, x))


def _halved(code: Function, x: Value, gate: Value) -> Value:
    """x·(1 + gate)/2."""
    half = code.arithmetic("fmul", x, 0.5)
    return code.fma(half, gate, half)


def _elu(code: Function, x: Value, how: Activation) -> Value:
    return _bent(code, x, code.arithmetic("fmul", expm1(code, x), how.low))


def _selu(code: Function, x: Value, how: Activation) -> Value:
    return code.arithmetic("fmul", _elu(code, x, how), how.high)


def _celu(code: Function, x: Value, how: Activation) -> Value:
    return _bent(code, x, code.arithmetic("fmul", expm1(code, code.arithmetic("fmul", x, 1 / how.low)), how.low))


def _bent(code: Function, x: Value, below: Value) -> Value:
    """Another value where x is negative."""
    return choose(code, compare(code, "olt", x, 0.0), below, x)


def _thresholded(code: Function, x: Value, how: Activation) -> Value:
    return choose(code, compare(code, "ogt", x, how.low), x, _constant(code, x, 0.0))


def _shrink(code: Function, x: Value, how: Activation) -> Value:
    nothing = _constant(code, x, 0.0)
    above = choose(code, compare(code, "ogt", x, how.low), code.arithmetic("fsub", x, how.high), nothing)
    return choose(code, compare(code, "olt", x, -how.low), code.arithmetic("fadd", x, how.high), above)


def _whole_power(code: Function, x: Value, how: Activation) -> Value:
    """By squares: x¹¹ is x⁸·x²·x."""
    square, found, left = x, None, int(how.low)
    while left:
        if left % 2:
            found = square if found is None else code.arithmetic("fmul", found, square)
        left //= 2
        square = code.arithmetic("fmul", square, square) if left else square
    return _constant(code, x, 1.0) if found is None else found


def _sign(code: Function, x: Value, how: Activation) -> Value:
    one = with_sign(code, _constant(code, x, 1.0), x)
    return choose(code, compare(code, "one", x, 0.0), one, x)


def _square_root(code: Function, x: Value, how: Activation) -> Value:
    return code.call(f"llvm.sqrt.v{code.lanes}f32", x.kind, (x, x.kind))


def _constant(code: Function, like: Value, number: float) -> Value:
    return Value(code.text(number, like.kind), like.kind, code)


_FUNCTIONS: Mapping[str, Callable[[Function, Value, Activation], Value]] = {
    "": lambda code, x, how: x,
    "abs": lambda code, x, how: magnitude(code, x),
    "ceil": lambda code, x, how: rounded(code, "ceil", x),
    "celu": _celu,
    "clip": _clip,
    "cos": lambda code, x, how: cosine(code, x),
    "elu": _elu,
    "erf": lambda code, x, how: erf(code, x),
    "exp": lambda code, x, how: exponential(code, x),
    "floor": lambda code, x, how: rounded(code, "floor", x),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hardsigmoid": _hard_sigmoid,
    "hardswish": _hard_swish,
    "leaky": _leaky,
    "log": lambda code, x, how: logarithm(code, x),
    "mish": _mish,
    "neg": lambda code, x, how: code.emit(x.kind, f"fneg {x.kind} {x.name}"),
    "power": _whole_power,
    "reciprocal": lambda code, x, how: code.arithmetic("fdiv", 1.0, x),
    "relu": lambda code, x, how: code.extreme("max", x, 0.0),
    "round": lambda code, x, how: rounded(code, "roundeven", x),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "shrink": _shrink,
    "sign": _sign,
    "silu": _silu,
    "sin": lambda code, x, how: sine(code, x),
    "softplus": _softplus,
    "softsign": _softsign,
    "sqrt": _square_root,
    "tanh": lambda code, x, how: tanh(code, x),
    "thresholdedrelu": _thresholded,
    "times": lambda code, x, how: code.arithmetic("fmul", x, how.low),
}

ACTIVATIONS = frozenset(_FUNCTIONS)
"""Kinds there is code for.

Parameters are `low` and `high`: bounds (`clip`), slope and shift (`hardsigmoid`), alpha (`leaky`, `elu`,
`thresholdedrelu`; `celu`, where it is positive; `silu`: x·sigmoid(alpha·x)), alpha and gamma (`selu`), lambda and bias
(`shrink`), a whole exponent that is not negative (`power`), the factor (`times`).
"""
