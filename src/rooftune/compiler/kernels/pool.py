"""Pooling: the largest number or the mean of every window, windows cut at the edges."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Pool
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]


def _emit(name: str, op: Pool, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of one block of channels is a job."""
    x, y = maps[op.x], maps[op.y]
    code, at = begin(name, ["x", "y"], target)
    kind = f"<{y.block} x float>"
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        source = code.at(at["x"], image * x.image + block * x.plane + x.origin)
        into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
        top, bottom = _window(code, row, op.strides[0], op.pads[0], op.kernel[0], x.height)
        with code.loop(0, y.width) as column:
            left, right = _window(code, column, op.strides[1], op.pads[1], op.kernel[1], x.width)
            best = code.variable(kind, 0.0 if op.kind == "mean" else -math.inf)
            with code.loop(top, bottom) as r:
                line = code.at(source, r * x.row)
                with code.loop(left, right) as q:
                    value = code.load(line, q * x.block, kind)
                    old = best.get()
                    best.set(code.arithmetic("fadd", old, value) if op.kind == "mean" else _larger(code, old, value))
            value = best.get()
            if op.kind == "mean":
                value = code.arithmetic("fmul", value, _share(code, op, x, y, (top, bottom), (left, right), kind))
            code.store(value, into, column * y.block)
    return [Phase(code, (Operand.value(op.x), Operand.value(op.y)))]


def _window(code: Function, place: Index, stride: int, pad: int, kernel: int, size: int) -> tuple[Index, Index]:
    start = place * stride - pad
    return code.largest(start, 0), code.least(start + kernel, size)


def _larger(code: Function, old: Value, new: Value) -> Value:
    """The larger; where either is not a number, that."""
    truths = old.kind.replace("float", "i1")
    keep = code.emit(truths, f"fcmp uge {old.kind} {old.name}, {new.name}")
    best = code.emit(old.kind, f"select {truths} {keep.name}, {old.kind} {old.name}, {old.kind} {new.name}")
    odd = code.emit(truths, f"fcmp uno {old.kind} {old.name}, {old.name}")
    other = code.emit(truths, f"fcmp uno {old.kind} {new.name}, {new.name}")
    best = code.emit(old.kind, f"select {truths} {other.name}, {old.kind} {new.name}, {old.kind} {best.name}")
    return code.emit(old.kind, f"select {truths} {odd.name}, {old.kind} {old.name}, {old.kind} {best.name}")


def _share(
    code: Function, op: Pool, x: Map, y: Map, rows: tuple[Index, Index], columns: tuple[Index, Index], kind: str
) -> Value | float:
    """One over the number of pixels that count: fewer than the kernel has where windows are cut at the edges."""
    ends = zip((y.height, y.width), op.strides, op.kernel, (x.height, x.width), strict=True)
    cut = any(op.pads) or any((count - 1) * stride + kernel > size for count, stride, kernel, size in ends)
    if op.counts_pads or not cut:
        return 1.0 / (op.kernel[0] * op.kernel[1])
    count = (rows[1] - rows[0]) * (columns[1] - columns[0])
    assert isinstance(count, Value)
    number = code.emit("float", f"uitofp i64 {count.name} to float")
    one = code.emit("float", f"fdiv float {code.text(1.0, 'float')}, {number.name}")
    lanes = kind.strip("<>").split(" x ")[0]
    first = code.emit(kind, f"insertelement {kind} poison, float {one.name}, i64 0")
    return code.emit(kind, f"shufflevector {kind} {first.name}, {kind} poison, <{lanes} x i32> zeroinitializer")


KERNELS = (Kernel(Pool, lambda op: f"{op.kind} pool", _emit),)
