"""Integers, or what truths stand for, as maps of fp32 numbers."""

from __future__ import annotations

from collections.abc import Mapping

from rooftune.compiler.emit.function import Function, Value
from rooftune.compiler.emit.integers import integer
from rooftune.compiler.emit.work import Operand, Phase, begin, jobs
from rooftune.compiler.kernels.kernel import Kernel
from rooftune.compiler.maps import Map
from rooftune.compiler.operations import Convert
from rooftune.compiler.target import Target

__all__ = ["KERNELS"]


def _emit(name: str, op: Convert, maps: Mapping[str, Map], target: Target) -> list[Phase]:
    """One row of one block of channels is a job."""
    y = maps[op.y]
    code, at = begin(name, ["x", "y"], target)
    with jobs(code, y.images * y.blocks * y.height) as job:
        image, within = job // (y.blocks * y.height), job % (y.blocks * y.height)
        block, row = within // y.height, within % y.height
        into = code.at(at["y"], image * y.image + block * y.plane + row * y.row + y.origin)
        count = code.least(y.block, y.channels - block * y.block)
        with code.loop(0, y.width) as column, code.loop(0, count) as lane:
            point = (image, block * y.block + lane, row, column)
            number = integer(code, at["x"], op.integers, op.pieces, point)
            code.store(_as_float(code, number, op.branches), into, column * y.block + lane)
    return [Phase(code, (Operand("input", op.x), Operand.value(op.y)))]


def _as_float(code: Function, number: Value, branches: tuple[float, float] | None) -> Value:
    """Rounded to the nearest number there is, as C does."""
    if branches is None:
        return code.emit("float", f"sitofp i64 {number.name} to float")
    truth = code.emit("i1", f"icmp ne i64 {number.name}, 0")
    one, other = (code.text(branch, "float") for branch in branches)
    return code.emit("float", f"select i1 {truth.name}, float {one}, float {other}")


KERNELS = (Kernel(Convert, lambda op: "convert", _emit),)
"""What makes numbers of integers."""
