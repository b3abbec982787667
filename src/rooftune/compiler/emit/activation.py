"""Activations in registers."""

from __future__ import annotations

from rooftune.compiler.emit.function import Function, Value
from rooftune.compiler.emit.mathematics import exponential
from rooftune.compiler.operations import Activation

__all__ = ["ACTIVATIONS", "activate"]

ACTIVATIONS = frozenset({"", "relu", "clip", "leaky", "hardswish", "hardsigmoid", "sigmoid"})
"""Kinds there is code for."""


def activate(code: Function, value: Value, activation: Activation) -> Value:
    """The activation of a vector; what is not a number stays so."""
    kind, low, high = activation.kind, activation.low, activation.high
    if kind == "relu":
        return code.extreme("max", value, 0.0)
    if kind == "clip":
        return code.extreme("min", code.extreme("max", value, low), high)
    if kind == "leaky":
        test = code.emit(f"<{code.lanes} x i1>", f"fcmp olt {value.kind} {value.name}, zeroinitializer")
        scaled = code.arithmetic("fmul", value, low)
        return code.emit(
            value.kind, f"select <{code.lanes} x i1> {test.name}, {value.kind} {scaled.name}, {value.kind} {value.name}"
        )
    if kind in ("hardsigmoid", "hardswish"):
        slope, shift = (low, high) if kind == "hardsigmoid" else (1 / 6, 0.5)
        line = code.arithmetic("fadd", code.arithmetic("fmul", value, slope), shift)
        gate = code.extreme("min", code.extreme("max", line, 0.0), 1.0)
        return gate if kind == "hardsigmoid" else code.arithmetic("fmul", value, gate)
    if kind == "sigmoid":
        below = code.arithmetic("fadd", exponential(code, code.arithmetic("fsub", 0.0, value)), 1.0)
        return code.arithmetic("fdiv", 1.0, below)
    if kind:
        raise ValueError(f"there is no code for the activation {kind}")
    return value
