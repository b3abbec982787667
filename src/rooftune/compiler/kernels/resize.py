"""Rows and columns at other places: the nearest pixel, or the mean of four weighted by distance.

Where to read is worked out ahead and kept beside the weights: one table of rows, one of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rooftune.compiler.emit.function import Function, Index, Value
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel, Numbers
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Floats, Resize
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]

_PARTS = ("rows", "columns")


def _weights(op: Resize, numbers: Numbers, maps: Mapping[str, Map]) -> dict[str, Floats]:
    """Whole places of rows and columns, as numbers; with `linear` also the place after each, and the share of both."""
    x = maps[op.x]
    return {"rows": _table(op, op.rows, x.height), "columns": _table(op, op.columns, x.width)}


def _table(op: Resize, places: Sequence[float], size: int) -> Floats:
    wanted = np.asarray(places, np.float64)
    if op.kind == "nearest":
        return wanted.astype(np.float32)
    before = np.floor(wanted)
    share = wanted - before
    between = share > 0
    after = np.where(between, np.minimum(before + 1, size - 1), before)
    # halves of one and the same: a share of 0 would make no number of an infinite one
    share = np.where(between, share, 0.5)
    return np.concatenate([before, after, 1 - share, share]).astype(np.float32)


def _emit(name: str, op: Resize, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of one block of channels is a job."""
    x, y = maps[op.x], maps[op.y]
    code, at = begin(name, ["x", *_PARTS, "y"], target)
    with jobs(code, y.images * y.blocks * y.height) as job:
        plane, row = job // y.height, job % y.height
        source = code.at(at["x"], plane * x.plane + x.origin)
        into = code.at(at["y"], plane * y.plane + row * y.row + y.origin)
        if op.kind == "nearest":
            line = code.at(source, _place(code, at["rows"], row) * x.row)
            with code.loop(0, y.width) as column:
                pixel = code.load(line, _place(code, at["columns"], column) * x.block)
                code.store(pixel, into, column * y.block)
        else:
            above = code.at(source, _place(code, at["rows"], row) * x.row)
            below = code.at(source, _place(code, at["rows"], row + y.height) * x.row)
            up, down = (code.broadcast(at["rows"], row + n * y.height) for n in (2, 3))
            with code.loop(0, y.width) as column:
                left = _place(code, at["columns"], column) * x.block
                right = _place(code, at["columns"], column + y.width) * x.block
                shares = [code.broadcast(at["columns"], column + n * y.width) for n in (2, 3)]
                upper = _mixed(code, code.load(above, left), code.load(above, right), *shares)
                lower = _mixed(code, code.load(below, left), code.load(below, right), *shares)
                code.store(_mixed(code, upper, lower, up, down), into, column * y.block)
    constants = (Operand.weights(op.y, what) for what in _PARTS)
    return [Phase(code, (Operand.value(op.x), *constants, Operand.value(op.y)))]


def _place(code: Function, table: Value, index: Index) -> Value:
    number = code.load(table, index, "float")
    return code.emit("i64", f"fptosi float {number.name} to i64")


def _mixed(code: Function, a: Value, b: Value, first: Value, second: Value) -> Value:
    """Shares of two numbers; both may be infinite."""
    return code.fma(b, second, code.arithmetic("fmul", a, first))


KERNELS = (Kernel(Resize, lambda op: f"{op.kind} resize", _emit, lambda op: _PARTS, _weights),)
"""What runs a resize."""
