"""Arithmetic on every number of a map that no convolution could take in."""

from __future__ import annotations

from collections.abc import Mapping

from rooftune.compiler.emit.activation import activate
from rooftune.compiler.emit.function import Function, Value
from rooftune.compiler.emit.mathematics import choose, compare
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel, Numbers
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Floats, Normalization, Pointwise
from rooftune.compiler.target import Target

__all__ = ["JOINS", "KERNELS", "channel_parts", "channel_weights"]

JOINS = frozenset({"add", "sub", "rsub", "mul", "div", "rdiv", "max", "min"})
"""How a value may be joined with another: `rsub` is the other minus it, `rdiv` the other over it."""


def channel_parts(op: Pointwise | Normalization) -> tuple[str, ...]:
    """Which constants of one number per channel an operation has."""
    return tuple(what for what, given in (("scale", op.scale), ("shift", op.shift)) if given)


def channel_weights(op: Pointwise | Normalization, numbers: Numbers, maps: Mapping[str, Map]) -> dict[str, Floats]:
    """One factor and one addend per channel, filled up to whole blocks."""
    y, found = maps[op.y], {}
    for what in channel_parts(op):
        found[what] = y.filled(numbers(getattr(op, what)))
    return found


def _emit(name: str, op: Pointwise, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of one block of channels is a job."""
    x, y, other = maps[op.x], maps[op.y], maps[op.other] if op.other else None
    constants = channel_parts(op)
    code, at = begin(name, ["x", *(["other"] if other is not None else []), *constants, "y"], target)
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        read = code.at(at["x"], image * x.image + block * x.plane + row * x.row + x.origin)
        into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
        fixed = {what: code.load(at[what], block * y.block) for what in constants}
        second = None
        if other is not None:
            line = 0 if op.spread else row * other.row
            second = code.at(at["other"], image * other.image + block * other.plane + line + other.origin)
        gate = code.load(second) if second is not None and op.spread else None
        with code.loop(0, y.width) as column:
            value = code.load(read, column * x.block)
            if "scale" in fixed:
                value = code.arithmetic("fmul", value, fixed["scale"])
            if "shift" in fixed:
                value = code.arithmetic("fadd", value, fixed["shift"])
            if second is not None and other is not None:
                with_this = gate if gate is not None else code.load(second, column * other.block)
                value = _joined(code, op.kind, value, with_this)
            code.store(activate(code, value, op.activation), into, column * y.block)
    sources = [Operand.value(name) for name in op.reads]
    given = (*sources, *(Operand.weights(op.y, what) for what in constants), Operand.value(op.y))
    return [Phase(code, given)]


def _joined(code: Function, kind: str, value: Value, other: Value) -> Value:
    """Both values joined as the kind says; `rsub` and `rdiv` take the other one first."""
    if kind in ("max", "min"):
        # ONNX: where either is not a number, the result is none
        return choose(code, compare(code, "uno", other, other), other, code.extreme(kind, value, other))
    a, b = (other, value) if kind.startswith("r") else (value, other)
    return code.arithmetic(f"f{kind.removeprefix('r')}", a, b)


KERNELS = (Kernel(Pointwise, lambda op: "pointwise", _emit, channel_parts, channel_weights),)
