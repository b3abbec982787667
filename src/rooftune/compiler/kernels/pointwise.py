"""Arithmetic on every number of a map that no convolution could take in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rooftune.compiler.emit.activation import activate
from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.mathematics import choose, compare
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel, Numbers
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Floats, Normalization, Pointwise
from rooftune.compiler.target import Target

__all__ = ["JOINS", "KERNELS", "channel_parts", "channel_weights"]

JOINS = frozenset({"add", "sub", "rsub", "mul", "div", "rdiv", "max", "min"})
"""How a value may be joined with another by arithmetic: `rsub` is the other minus it, `rdiv` the other over it."""


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
    y, constants = maps[op.y], channel_parts(op)
    values = {what: held for what in ("x", "other", "condition") if (held := getattr(op, what))}
    code, at = begin(name, [*values, *constants, "y"], target)
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
        fixed = {what: code.load(at[what], block * y.block) for what in constants}
        lines = {what: _line(code, at[what], maps[held], y, (image, block, row)) for what, held in values.items()}
        with code.loop(0, y.width) as column:
            value = lines["x"](column)
            if "scale" in fixed:
                value = code.arithmetic("fmul", value, fixed["scale"])
            if "shift" in fixed:
                value = code.arithmetic("fadd", value, fixed["shift"])
            if op.kind == "where":
                holds = compare(code, "une", lines["condition"](column), 0.0)
                value = choose(code, holds, value, lines["other"](column))
            elif op.kind:
                value = _joined(code, op.kind, value, lines["other"](column))
            code.store(activate(code, value, op.activation), into, column * y.block)
    sources = (Operand.value(held) for held in values.values())
    weights = (Operand.weights(op.y, what) for what in constants)
    return [Phase(code, (*sources, *weights, Operand.value(op.y)))]


def _line(
    code: Function, pointer: Value, x: Map, y: Map, place: tuple[Index, Index, Index]
) -> Callable[[Index], Value]:
    """A row of a block of channels, read by column; what the map has less of than the result is repeated."""
    image, block, row = place
    image = image if x.images == y.images else image % x.images
    first = image * x.image + (row * x.row if x.height > 1 else 0) + x.origin
    spread = x.channels == 1 < y.channels
    start = code.at(pointer, first if spread else first + block * x.plane)
    read = code.broadcast if spread else code.load
    if x.width > 1:
        return lambda column: read(start, column * x.block)
    alone = read(start)
    return lambda column: alone


def _joined(code: Function, kind: str, value: Value, other: Value) -> Value:
    """Both values joined as the kind says; `rsub` and `rdiv` take the other one first."""
    if kind in ("max", "min"):
        # ONNX: where either is not a number, the result is none
        return choose(code, compare(code, "uno", other, other), other, code.extreme(kind, value, other))
    if kind == "prelu":
        return choose(code, compare(code, "olt", value, 0.0), code.arithmetic("fmul", value, other), value)
    a, b = (other, value) if kind.startswith("r") else (value, other)
    return code.arithmetic(f"f{kind.removeprefix('r')}", a, b)


KERNELS = (Kernel(Pointwise, lambda op: "pointwise", _emit, channel_parts, channel_weights),)
